package backup

import (
	"sync"

	"roost/mail"
)

// Progress is how far a run is. Totals grow while mailboxes are listed.
type Progress struct {
	Mailbox       mail.Name // the mailbox that was worked on last
	Mailboxes     int       // meant
	MailboxesDone int
	Messages      int64 // to be transferred, as far as known
	MessagesDone  int64
	BytesDone     int64 // octets transferred
	Failed        int64
}

// tally counts and reports. Its methods are safe for concurrent use.
type tally struct {
	report func(Progress)

	mu  sync.Mutex // guards what follows
	now Progress
}

func (t *tally) update(f func(*Progress)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.now)
	if t.report != nil {
		t.report(t.now)
	}
}

func (t *tally) mailboxes(n int) { t.update(func(p *Progress) { p.Mailboxes = n }) }

func (t *tally) mailboxDone(name mail.Name) {
	t.update(func(p *Progress) { p.Mailbox = name; p.MailboxesDone++ })
}

func (t *tally) expect(name mail.Name, messages int64) {
	t.update(func(p *Progress) { p.Mailbox = name; p.Messages += messages })
}

func (t *tally) message(octets int64, failed bool) {
	t.update(func(p *Progress) {
		p.MessagesDone++
		p.BytesDone += octets
		if failed {
			p.Failed++
		}
	})
}
