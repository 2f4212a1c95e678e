package maildir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math"
	"os"
	"path"
	"time"

	"roost/mail"
	"roost/message"
	"roost/store/tree"
)

// A message is written to tmp under a name that no file ever had, made durable,
// and renamed to cur, where it is complete from its first moment. If the mailbox
// has a uidlist, that happens under its lock, and a record follows. Killed in
// between, a program leaves a file in tmp, which any Maildir program removes
// after 36 hours, or a message that gets its UID from Dovecot.

// draft is a message on its way into a mailbox.
type draft struct {
	m      mail.Message
	base   string // its base name to be
	size   int64  // octets of its file
	temp   string // path of its file in tmp; "" if it has none
	err    error
	answer mail.Appended
}

// Append stores a message. Flags that Maildir has no letter for are lost: those
// of a keyword beyond the 26th, or that IMAP could not say, and system flags
// unknown to RFC 9051. m.GUID is not kept.
func (s *Store) Append(ctx context.Context, name mail.Name, m mail.Message, body io.Reader) (mail.Key, error) {
	w, err := s.newWriter(ctx, name)
	if err != nil {
		return "", err
	}
	defer w.close()
	w.add(ctx, m, body)
	if err := w.commit(ctx); err != nil {
		return "", err
	}
	return w.drafts[0].answer.Key, w.drafts[0].answer.Err
}

const (
	batchMessages = 2000
	batchBytes    = 256 << 20
)

// AppendAll writes messages in batches, and makes each batch durable as one.
func (s *Store) AppendAll(ctx context.Context, name mail.Name, messages iter.Seq[mail.Outgoing]) iter.Seq2[mail.Appended, error] {
	return func(yield func(mail.Appended, error) bool) {
		w, err := s.newWriter(ctx, name)
		if err != nil {
			yield(mail.Appended{}, err)
			return
		}
		defer w.close()
		flush := func() bool {
			if err := w.commit(ctx); err != nil {
				yield(mail.Appended{}, err)
				return false
			}
			for _, d := range w.drafts {
				if !yield(d.answer, nil) {
					return false
				}
			}
			w.drafts, w.bytes = w.drafts[:0], 0
			return true
		}
		for m := range messages {
			if err := ctx.Err(); err != nil {
				yield(mail.Appended{}, err)
				return
			}
			w.addOutgoing(ctx, m)
			if (len(w.drafts) >= batchMessages || w.bytes >= batchBytes) && !flush() {
				return
			}
		}
		flush()
	}
}

// writer writes messages to one mailbox.
type writer struct {
	store  *Store
	box    box
	tmp    *os.Root
	like   fs.FileInfo // of cur: mode and owner of new files
	drafts []draft
	open   []*os.File // of drafts; only where SyncAll needs them
	bytes  int64      // of drafts
	came   tally      // what is in the mailbox and not yet accounted for
	buffer []byte
}

func (s *Store) newWriter(ctx context.Context, name mail.Name) (*writer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	b, err := s.box("append", name)
	if err != nil {
		return nil, err
	}
	w := &writer{store: s, box: b, buffer: make([]byte, 64<<10)}
	if w.like, err = s.root.Stat(b.dir); err != nil {
		return nil, s.fail("append", name, err)
	}
	for _, sub := range []string{"tmp", "cur"} { // a tool may have left one out
		if err := s.mkdir(b.path(sub), w.like); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, s.fail("append", name, err)
		}
	}
	if w.tmp, err = s.root.OpenRoot(b.path("tmp")); err != nil {
		return nil, s.fail("append", name, err)
	}
	return w, nil
}

// close removes what was not committed.
func (w *writer) close() {
	for _, d := range w.drafts {
		if d.temp != "" {
			w.store.root.Remove(d.temp)
		}
	}
	w.closeFiles()
	w.tmp.Close()
}

func (w *writer) closeFiles() {
	for _, f := range w.open {
		f.Close()
	}
	w.open = w.open[:0]
}

func (w *writer) addOutgoing(ctx context.Context, m mail.Outgoing) {
	body, err := m.Open(ctx)
	if err != nil {
		w.drafts = append(w.drafts, draft{m: m.Message, err: fmt.Errorf("open the message: %w", err)})
		return
	}
	defer body.Close()
	w.add(ctx, m.Message, body)
}

// add writes a message to tmp. What goes wrong is the draft's error.
func (w *writer) add(ctx context.Context, m mail.Message, body io.Reader) {
	d := draft{m: m}
	d.err = w.write(&d, body)
	if ctx.Err() != nil {
		d.err = ctx.Err()
	}
	w.drafts = append(w.drafts, d)
}

func (w *writer) write(d *draft, body io.Reader) error {
	unique := w.store.newName()
	f, err := w.tmp.OpenFile(unique, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	d.temp = w.box.path("tmp", unique)
	counted := &counter{r: body}
	source := io.Reader(counted)
	if w.store.options.LF {
		source = message.NormalizeLF(counted)
	}
	size := &lineEnds{w: f}
	_, err = io.CopyBuffer(size, source, w.buffer)
	switch {
	case err != nil:
		err = fmt.Errorf("write the message: %w", err)
	case d.m.Size >= 0 && d.m.Size != counted.n:
		err = fmt.Errorf("message of %d octets, %d were announced", counted.n, d.m.Size)
	default:
		err = own(f, w.like)
	}
	if tree.HoldsFiles && err == nil {
		w.open = append(w.open, f)
	} else {
		err = errors.Join(err, f.Close())
	}
	if err == nil && !d.m.InternalDate.IsZero() {
		date := d.m.InternalDate.Truncate(time.Second)
		err = w.tmp.Chtimes(unique, date, date)
	}
	d.base = fmt.Sprintf("%s,S=%d,W=%d", unique, size.n, size.n+size.bare)
	d.size = size.n
	w.bytes += size.n
	return err
}

type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// lineEnds counts octets, and LFs without a CR before.
type lineEnds struct {
	w       io.Writer
	n, bare int64
	cr      bool
}

func (e *lineEnds) Write(p []byte) (int, error) {
	for _, c := range p {
		if c == '\n' && !e.cr {
			e.bare++
		}
		e.cr = c == '\r'
	}
	e.n += int64(len(p))
	return e.w.Write(p)
}

// commit makes the drafts durable and puts them into the mailbox.
func (w *writer) commit(ctx context.Context) error {
	s := w.store
	if err := ctx.Err(); err != nil {
		return err
	}
	var keywords mail.Flags
	good := 0
	for i := range w.drafts {
		if w.drafts[i].err == nil {
			keywords = keywords.Plus(w.drafts[i].m.Flags.Keywords())
			good++
		}
	}
	if good > 0 && !s.options.NoSync {
		d, err := w.tmp.Open(".")
		if err == nil {
			err = errors.Join(tree.SyncAll(d, w.open), d.Close())
		}
		if err != nil {
			return s.fail("append", w.box.name, err)
		}
	}
	w.closeFiles()
	if good > 0 {
		err := s.deliver(ctx, w.box, keywords, w.place)
		s.account(w.box.dir, w.came, tally{})
		w.came = tally{}
		if err != nil {
			return s.fail("append", w.box.name, err)
		}
	}
	for i := range w.drafts {
		d := &w.drafts[i]
		if d.err != nil {
			d.answer = mail.Appended{Err: s.fail("append", w.box.name, d.err)}
		}
		if d.temp != "" {
			s.root.Remove(d.temp)
			d.temp = ""
		}
	}
	return nil
}

// place renames the drafts from tmp to cur.
func (w *writer) place(n *numbering) error {
	for i := range w.drafts {
		d := &w.drafts[i]
		if d.err != nil {
			continue
		}
		letters, lost := changeLetters("", d.m.Flags, "", n.keywords)
		name := d.base + ":2," + letters
		if d.err = w.store.root.Rename(d.temp, w.box.path("cur", name)); d.err != nil {
			continue
		}
		d.temp = ""
		w.came.add(d.size)
		d.answer = mail.Appended{Key: mail.Key(d.base)}
		if lost != "" {
			d.answer.Err = &mail.Loss{Flags: lost}
		}
		w.store.note(w.box.dir, d.answer.Key, path.Join("cur", name))
		if err := n.give(d.base, d.m.UID, ""); err != nil {
			return err
		}
	}
	return nil
}

// numbering gives UIDs to files that come into a mailbox.
type numbering struct {
	numbers
	keywords *keywords
	keeps    bool // Number was called: UIDs of the messages are kept
	records  []byte
}

// give notes a record for the file called base, if the mailbox has UIDs.
func (n *numbering) give(base string, uid uint32, guid string) error {
	if n.version == 0 {
		return nil
	}
	if !n.keeps || uid <= n.lastUID || uid >= math.MaxUint32-1 {
		uid = n.next()
	}
	if uid >= math.MaxUint32-1 {
		return errors.New("no UIDs are left in this mailbox")
	}
	n.lastUID = uid
	n.records = fmt.Appendf(n.records, "%d", uid)
	if guid != "" {
		n.records = fmt.Appendf(n.records, " G%s", guid)
	}
	n.records = fmt.Appendf(n.records, " :%s\n", base)
	return nil
}

// deliver calls place to bring files into a mailbox, with the lock that this
// needs, and writes their UIDs. New keywords have got letters before.
func (s *Store) deliver(ctx context.Context, b box, keywords mail.Flags, place func(*numbering) error) error {
	n, release, err := s.begin(ctx, b, keywords)
	if err != nil {
		return err
	}
	defer release()
	// What was renamed must be recorded, even if not all was.
	err = place(n)
	return errors.Join(err, s.addRecords(b.dir, n.numbers, n.records), s.syncDirs(b.path("cur")))
}

// begin takes the lock, if the mailbox has a uidlist or keywords need letters.
func (s *Store) begin(ctx context.Context, b box, add mail.Flags) (n *numbering, release func(), err error) {
	n = new(numbering)
	release = func() {}
	if n.keywords, err = s.keywordsOf(b.dir); err != nil {
		return nil, nil, err
	}
	hasList := false
	if _, err := s.control.Lstat(s.controlPath(b.dir, uidlistFile)); err == nil {
		hasList = true
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	trial := *n.keywords
	if !hasList && !trial.learn(add) {
		return n, release, nil
	}
	if release, err = s.lock(ctx, b.dir); err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			release()
		}
	}()
	if n.keywords, err = s.keywordsOf(b.dir); err != nil { // somebody may have been faster
		return nil, nil, err
	}
	if n.keywords.learn(add) {
		if err = s.writeKeywords(b.dir, n.keywords); err != nil {
			return nil, nil, err
		}
	}
	if hasList {
		if n.numbers, err = s.numbersOf(b.dir); err != nil {
			return nil, nil, err
		}
		s.mu.Lock()
		n.keeps = s.numbered[b.dir]
		s.mu.Unlock()
	}
	return n, release, nil
}
