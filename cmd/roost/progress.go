package main

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"
)

// meter shows how far the work is: on a terminal as one status line, else as a
// line a minute, with --json as a line a second. Its methods are safe for
// concurrent use; the zero value shows nothing.
type meter struct {
	app      *app
	verb     string // "backup", "restore"
	terminal bool
	every    time.Duration
	began    time.Time
	stop     chan struct{}
	stopped  sync.WaitGroup

	mu    sync.Mutex // guards what follows
	parts map[string]progress
}

// progress is how far the work on one account is.
type progress struct {
	mailboxes, mailboxesDone int
	messages, messagesDone   int64
	bytes                    int64
	failed                   int64
}

// status is the line of --json.
type status struct {
	Action            string  `json:"action"`
	Seconds           float64 `json:"seconds_elapsed"`
	Mailboxes         int     `json:"total_mailboxes"`
	MailboxesDone     int     `json:"mailboxes_done"`
	Messages          int64   `json:"total_messages"`
	MessagesDone      int64   `json:"messages_done"`
	Bytes             int64   `json:"bytes_done"`
	Failed            int64   `json:"failed"`
	MessagesPerSecond float64 `json:"messages_per_second"`
	BytesPerSecond    float64 `json:"bytes_per_second"`
	SecondsRemaining  float64 `json:"seconds_remaining,omitempty"`
}

// meter begins to show progress, unless --quiet. Its end must be called.
func (a *app) meter(verb string) *meter {
	if a.flags.quiet {
		return &meter{}
	}
	m := &meter{app: a, verb: verb, began: time.Now(), parts: map[string]progress{}, stop: make(chan struct{})}
	m.terminal = terminal(a.stderr) && !a.flags.json
	switch {
	case m.terminal:
		m.every = 250 * time.Millisecond
	case a.flags.json:
		m.every = time.Second
	default:
		m.every = time.Minute
	}
	fps := a.flags.progressFPS
	if fps == 0 {
		fps, _ = strconv.ParseFloat(a.getenv("ROOST_PROGRESS_FPS"), 64)
	}
	if fps > 0 && fps <= 60 {
		m.every = time.Duration(float64(time.Second) / fps)
	}
	m.stopped.Go(m.loop)
	return m
}

// set notes how far one account is.
func (m *meter) set(account string, p progress) {
	if m.app == nil {
		return
	}
	m.mu.Lock()
	m.parts[account] = p
	m.mu.Unlock()
}

// end shows no more and clears the status line.
func (m *meter) end() {
	if m.app == nil {
		return
	}
	close(m.stop)
	m.stopped.Wait()
	if m.terminal {
		m.app.stderr.status("")
	}
}

func (m *meter) loop() {
	tick := time.NewTicker(m.every)
	defer tick.Stop()
	for {
		select {
		case <-m.stop:
			return
		case now := <-tick.C:
			m.show(now)
		}
	}
}

func (m *meter) show(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.status(now)
	switch {
	case m.app.flags.json:
		m.app.json("status", s)
	case m.terminal:
		m.app.stderr.status(s.text(width(m.app.stderr) - 1)) // in the last column some terminals wrap
	default:
		fmt.Fprintln(m.app.stderr, s.text(0))
	}
}

// status sums up all accounts. m.mu is held.
func (m *meter) status(now time.Time) status {
	s := status{Action: m.verb, Seconds: now.Sub(m.began).Round(time.Millisecond).Seconds()}
	for _, p := range m.parts {
		s.Mailboxes += p.mailboxes
		s.MailboxesDone += p.mailboxesDone
		s.Messages += p.messages
		s.MessagesDone += p.messagesDone
		s.Bytes += p.bytes
		s.Failed += p.failed
	}
	if s.Seconds > 0 {
		s.MessagesPerSecond = float64(s.MessagesDone) / s.Seconds
		s.BytesPerSecond = float64(s.Bytes) / s.Seconds
	}
	if s.MessagesPerSecond > 0 && s.Messages > s.MessagesDone {
		s.SecondsRemaining = float64(s.Messages-s.MessagesDone) / s.MessagesPerSecond
	}
	return s
}

// text is the status in at most width columns; 0 is any width.
func (s status) text(width int) string {
	phrases := []phrase{
		{fmt.Sprintf("[%s] %s of %s", clock(s.Seconds), grouped(int64(s.MailboxesDone)), count(int64(s.Mailboxes), "mailbox")), 0},
		{grouped(s.MessagesDone) + " of " + count(s.Messages, "message"), 0},
		{octets(s.Bytes), 3},
		{grouped(int64(s.MessagesPerSecond+0.5)) + " messages/s", 2},
		{fmt.Sprintf("%.1f MB/s", s.BytesPerSecond/1e6), 4},
	}
	if s.SecondsRemaining > 0 {
		phrases = append(phrases, phrase{"ETA " + clock(s.SecondsRemaining), 1})
	}
	if s.Failed > 0 {
		phrases = append(phrases, phrase{grouped(s.Failed) + " failed", 0})
	}
	if line, fits := joinFit(phrases, width); fits {
		return line
	}
	short := phrase{fmt.Sprintf("[%s] %s/%s", clock(s.Seconds), grouped(s.MessagesDone), grouped(s.Messages)), 0}
	line, _ := joinFit(slices.Replace(phrases, 0, 2, short), width)
	return cutTo(line, width)
}

// clock writes seconds as "1:02:03" or "2:03".
func clock(seconds float64) string {
	n := int64(seconds)
	if n < 3600 {
		return fmt.Sprintf("%d:%02d", n/60, n%60)
	}
	return fmt.Sprintf("%d:%02d:%02d", n/3600, n/60%60, n%60)
}
