package imap

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

const (
	maxBuffered = 1 << 20  // octets of a body that are held until its line has ended
	maxUnnamed  = 64 << 20 // the same of a body whose UID comes only behind it
	maxString   = 64 << 10 // octets of an identifier, name, label or flag
	maxLabels   = 10_000   // labels or flags of one message
)

// Fetch is what one FETCH response says of a message. It, its slices and its Body are valid only during the call of the
// handler; the strings last.
type Fetch struct {
	UID      uint32    // 0: the response does not say
	Flags    []string  // valid if HasFlags
	HasFlags bool      //
	Date     time.Time // INTERNALDATE; zero: not said, or no date
	Size     int64     // RFC822.SIZE; -1: not said, or not a size
	ModSeq   uint64    // 0: not said, or not a mod-sequence
	EmailID  string    // EMAILID (RFC 8474); or X-GUID of Dovecot; or X-GM-MSGID of Gmail
	ThreadID string    // THREADID (RFC 8474); or X-GM-THRID
	Labels   []string  // X-GM-LABELS, as on the wire; valid if HasLabels

	HasLabels bool
	HasBody   bool      // a BODY[...] item was there
	Body      io.Reader // its octets; nil if it was NIL
	BodySize  int64     // octets of Body
	BodyErr   error     // why Body could not be had; the connection is sound nonetheless

	odd    bool // what stands behind the body does not look like the end of a response
	buffer bytes.Buffer
	small  bytes.Reader
}

func (f *Fetch) reset() {
	if f.buffer.Cap() > 4*maxBuffered {
		f.buffer = bytes.Buffer{} // a huge message must not hold its memory for ever
	}
	f.buffer.Reset()
	*f = Fetch{Size: -1, Flags: f.Flags[:0], Labels: f.Labels[:0], buffer: f.buffer}
}

// errUnnamed is the BodyErr of a large body that came before its UID.
var errUnnamed = fmt.Errorf("a body larger than %d octets came before its UID", maxUnnamed)

// errShort is the BodyErr of a literal that goes on behind the octets that were announced. QUIRK: such servers exist; what
// they sent must not pass for the message.
var errShort = errors.New("the server sent more octets than it announced")

// readFetch reads what follows "* n FETCH" and hands it to the oldest command that wants it. The sequence number is not
// looked at. QUIRK: several servers number wrongly and name the UIDs rightly.
func (c *Client) readFetch() error {
	p := c.first(func(p *Pending) bool { return p.onFetch != nil })
	if p == nil {
		return c.reader.SkipLine() // news of flags that nobody asked for
	}
	f := &c.fetch
	f.reset()
	delivered := false
	open := 0 // parentheses
	for {
		t, err := c.reader.Next()
		if err != nil {
			return err
		}
		switch t.Kind {
		case Open:
			open++
		case Close:
			open--
		case EOL:
			f.odd = f.odd || open > 0
			if !delivered {
				p.deliver(f)
			}
			return nil
		case Atom:
			streamed, err := c.readFetchItem(p, f, t.Bytes)
			delivered = delivered || streamed
			if errors.Is(err, errEarlyEOL) {
				if !delivered {
					p.deliver(f)
				}
				return nil
			}
			if err != nil {
				return err
			}
		case Literal, Quoted:
			if err := c.reader.SkipValue(t); err != nil {
				return err
			}
		}
		// Parentheses are passed over. QUIRK: Xeams: items stand behind the closing one.
	}
}

// deliver calls the handler, unless it failed before.
func (p *Pending) deliver(f *Fetch) {
	if f.UID == 0 && f.HasBody {
		f.UID = p.onlyUID
	}
	if f.odd && f.HasBody && f.BodyErr == nil && f.BodySize != f.Size {
		f.BodyErr = errShort
	}
	if p.err == nil {
		p.err = p.onFetch(f)
	}
}

// readFetchItem reads the value of one item. streamed is true if the handler was called, because the body was too large
// to wait for the end of its line.
func (c *Client) readFetchItem(p *Pending, f *Fetch, name []byte) (streamed bool, err error) {
	if isSectionItem(name) {
		return c.readBody(p, f)
	}
	item := fetchItem(name)
	f.odd = f.odd || f.HasBody && item == ""
	t, err := c.reader.Next()
	if err != nil {
		return false, err
	}
	if t.Kind == EOL { // an item without a value: the next call of Next is the next line
		return false, errEarlyEOL
	}
	switch item {
	case "UID":
		if n, ok := ParseNumber(t.Bytes); ok {
			f.UID = uid(n)
		}
	case "FLAGS":
		f.HasFlags = true
		f.Flags, err = c.readWords(t, f.Flags)
		return false, err
	case "X-GM-LABELS":
		f.HasLabels = true
		f.Labels, err = c.readWords(t, f.Labels)
		return false, err
	case "RFC822.SIZE":
		if n, ok := ParseNumber(t.Bytes); ok && n >= 0 {
			f.Size = n
		}
	case "INTERNALDATE":
		if b, err := c.reader.String(t, maxString); err == nil {
			f.Date = ParseDate(b)
		} else if !errors.Is(err, ErrTokenTooLong) && t.Kind == Literal {
			return false, err
		}
	case "MODSEQ", "EMAILID", "X-GUID", "X-GM-MSGID", "THREADID", "X-GM-THRID":
		return false, c.readIdentifier(f, item, t)
	}
	return false, c.reader.SkipValue(t)
}

// errEarlyEOL is an item without a value at the end of a line.
var errEarlyEOL = errors.New("imap item without a value")

// readIdentifier reads an identifier or number, bare or in parentheses.
func (c *Client) readIdentifier(f *Fetch, item string, t Token) error {
	listed := t.Kind == Open
	if listed {
		var err error
		if t, err = c.reader.Next(); err != nil {
			return err
		}
		if t.Kind == Close {
			return nil
		}
	}
	if t.Kind == EOL || t.Kind == Open {
		return c.reader.SkipValue(t)
	}
	b, err := c.reader.String(t, maxString)
	if err != nil && !errors.Is(err, ErrTokenTooLong) {
		return err
	}
	switch {
	case item == "MODSEQ":
		if n, ok := ParseNumber(b); ok && n > 0 { // QUIRK: Zoho: -1
			f.ModSeq = uint64(n)
		}
	case item == "THREADID" || item == "X-GM-THRID":
		f.ThreadID = string(b)
	case len(b) > 0:
		f.EmailID = string(b)
	}
	if !listed {
		return nil
	}
	return c.reader.SkipValue(Token{Kind: Open})
}

// readWords reads a list of flags or labels; t is its first token. QUIRK: SUN quotes flags; NIL and a single word without
// parentheses exist.
func (c *Client) readWords(t Token, words []string) ([]string, error) {
	if t.Kind != Open {
		b, err := c.reader.String(t, maxString)
		if err == nil && len(b) > 0 {
			words = append(words, c.intern(b))
		}
		if errors.Is(err, ErrTokenTooLong) {
			err = nil
		}
		return words, err
	}
	for {
		t, err := c.reader.Next()
		if err != nil {
			return words, err
		}
		switch t.Kind {
		case Close:
			return words, nil
		case EOL:
			return words, errEarlyEOL
		case Open:
			if err := c.reader.SkipValue(t); err != nil {
				return words, err
			}
		default:
			b, err := c.reader.String(t, maxString)
			if err != nil && !errors.Is(err, ErrTokenTooLong) {
				return words, err
			}
			if len(b) > 0 && len(words) < maxLabels {
				words = append(words, c.intern(b))
			}
		}
	}
}

// readBody reads the value of a BODY[...] item. A small body is held until the end of the line, so that its UID may come
// behind it; a large one is handed over as it comes.
func (c *Client) readBody(p *Pending, f *Fetch) (streamed bool, err error) {
	t, err := c.reader.Next()
	if err != nil {
		return false, err
	}
	f.HasBody = true
	switch t.Kind {
	case EOL:
		return false, errEarlyEOL
	case Quoted:
		f.buffer.Write(t.Bytes)
		f.hold()
		return false, nil
	case Literal:
	default:
		return false, c.reader.SkipValue(t) // NIL
	}
	if t.Size > c.opts.MaxLiteral {
		return false, fmt.Errorf("the server announces a message of %d octets", t.Size)
	}
	c.conn.body(true)
	defer c.conn.body(false)
	named := f.UID != 0 || p.onlyUID != 0
	switch {
	case t.Size <= maxBuffered, !named && t.Size <= maxUnnamed:
		f.buffer.Grow(int(min(t.Size, maxBuffered)) + bytes.MinRead)
		if _, err := f.buffer.ReadFrom(c.reader.Literal()); err != nil {
			return false, err
		}
		f.hold()
		goesOn, err := c.reader.goesOn()
		f.odd = f.odd || err == nil && !goesOn
		return false, nil
	case !named:
		f.BodyErr = errUnnamed
		return false, c.reader.SkipValue(t)
	}
	whole := &body{c: c, size: f.Size, n: t.Size}
	f.Body, f.BodySize = whole, t.Size
	p.deliver(f)
	if whole.err != nil {
		return true, whole.err // what follows is not to be understood
	}
	return true, c.reader.SkipValue(t)
}

// hold makes the buffer the body.
func (f *Fetch) hold() {
	f.small.Reset(f.buffer.Bytes())
	f.Body, f.BodySize = &f.small, int64(f.buffer.Len())
}

// isSectionItem reports whether name is BODY[...] or one of its old forms, which all have a string as value.
func isSectionItem(name []byte) bool {
	if i := bytes.IndexByte(name, '['); i > 0 {
		return isSection(name[:i])
	}
	return equalFold(name, "RFC822") || equalFold(name, "RFC822.HEADER")
}

// fetchItem returns the constant for the name of an item, "" for one that is not known: no string is made of it.
func fetchItem(name []byte) string {
	for _, item := range [...]string{"UID", "FLAGS", "RFC822.SIZE", "INTERNALDATE", "MODSEQ", "EMAILID", "X-GUID",
		"THREADID", "X-GM-MSGID", "X-GM-THRID", "X-GM-LABELS"} {
		if equalFold(name, item) {
			return item
		}
	}
	return ""
}

// FetchOptions adjust UIDFetch.
type FetchOptions struct {
	ChangedSince uint64 // only messages with a greater mod-sequence (CONDSTORE); 0: all
	Vanished     func(Set)
}

// StartFetch sends UID FETCH of a set in IMAP's notation, short enough for a line (Set.Chunks); items is the list between
// the parentheses, as "UID FLAGS". each is called for every response; its error is returned by Wait, after the rest was
// passed over. With Vanished set, UIDs expunged since ChangedSince are told to it (QRESYNC).
//
// Servers may answer for other messages too, and leave some out; who needs all compares the UIDs.
func (c *Client) StartFetch(ctx context.Context, set, items string, o FetchOptions, each func(*Fetch) error) *Pending {
	p := &Pending{onFetch: each, onVanished: o.Vanished}
	if n, err := strconv.ParseUint(set, 10, 32); err == nil {
		p.onlyUID = uint32(n)
	}
	return c.start(ctx, "UID FETCH", p, func(w *Writer) {
		w.Raw(" ").Raw(set).Raw(" (").Raw(items).Raw(")")
		if o.ChangedSince > 0 {
			w.Raw(" (CHANGEDSINCE ").Number(o.ChangedSince)
			if o.Vanished != nil {
				w.Raw(" VANISHED")
			}
			w.Raw(")")
		}
	})
}

// UIDFetch is StartFetch and Wait.
func (c *Client) UIDFetch(ctx context.Context, set, items string, o FetchOptions, each func(*Fetch) error) error {
	return c.StartFetch(ctx, set, items, o, each).Wait(ctx)
}

// readVanished reads "* VANISHED (EARLIER) set" (RFC 7162, 3.2.10).
func (c *Client) readVanished() error {
	text, err := c.reader.Text()
	if err != nil {
		return err
	}
	earlier := false
	if rest, ok := bytes.CutPrefix(text, []byte("(EARLIER)")); ok {
		earlier, text = true, bytes.TrimSpace(rest)
	}
	set, err := ParseSet(string(text))
	if err != nil {
		return nil // not understood is not told: the count of messages will not add up, and callers check it
	}
	if !earlier {
		c.lose(set.Len())
	}
	if p := c.first(func(p *Pending) bool { return p.onVanished != nil }); p != nil {
		p.onVanished(set)
	}
	return nil
}
