package snapshot

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"roost/mail"
)

// Entry is what a snapshot knows of a message beside its bytes, date and size,
// which its node holds.
type Entry struct {
	Slot   Slot
	ModSeq uint64
	Flags  mail.Flags
	Key    mail.Key // the source's key
	GUID   string
	Extra  *Extra // nil mostly
}

// Extra is the rare rest of an Entry.
type Extra struct {
	mail.Extra
	Altered    string `json:"altered,omitempty"`     // how a rule of the user changed the bytes
	ListedSize *int64 `json:"listed_size,omitempty"` // octets as the source says, if they are not those that it gave
}

// An Interner makes equal flags share one string. The zero value is ready.
// It is not safe for concurrent use.
type Interner struct{ seen map[string]mail.Flags }

// maxInterned bounds an Interner; a hostile file of distinct flags does not grow it without end.
const maxInterned = 1 << 14

func (in *Interner) flags(text []byte) mail.Flags {
	if f, ok := in.seen[string(text)]; ok {
		return f
	}
	// Canonicalise: the file may come from anybody.
	f := mail.FlagsOf(strings.Split(string(text), " ")...)
	if in.seen == nil || len(in.seen) >= maxInterned {
		in.seen = make(map[string]mail.Flags)
	}
	in.seen[string(text)] = f
	return f
}

// AppendFlags writes entries, ascending by slot, as a .flags file.
func AppendFlags(dst []byte, entries []Entry) []byte {
	for i := range entries {
		e := &entries[i]
		dst = strconv.AppendUint(dst, uint64(e.Slot), 10)
		dst = append(dst, '\t')
		if e.ModSeq != 0 {
			dst = strconv.AppendUint(dst, e.ModSeq, 10)
		}
		dst = append(dst, '\t')
		dst = append(dst, e.Flags...)
		dst = append(dst, '\n')
	}
	return dst
}

// ParseFlags appends the entries of a .flags file to dst. Slots must ascend and
// lie in the range that begins with first.
func ParseFlags(dst []Entry, file []byte, first Slot, in *Interner) ([]Entry, error) {
	last, any := Slot(0), false
	for len(file) > 0 {
		line, rest, ok := bytes.Cut(file, []byte{'\n'})
		if !ok {
			return dst, fmt.Errorf("flags %s: last line is cut off", first)
		}
		file = rest
		number, line, ok1 := bytes.Cut(line, []byte{'\t'})
		modseq, flags, ok2 := bytes.Cut(line, []byte{'\t'})
		slot, err := parseUint(number)
		if !ok1 || !ok2 || err != nil || Slot(slot).Range() != first || any && Slot(slot) <= last {
			return dst, fmt.Errorf("flags %s: bad line for message %.20q", first, number)
		}
		e := Entry{Slot: Slot(slot)}
		if len(modseq) > 0 {
			if e.ModSeq, err = parseUint(modseq); err != nil {
				return dst, fmt.Errorf("flags %s: bad mod-sequence %.20q", first, modseq)
			}
		}
		if len(flags) > 0 {
			e.Flags = in.flags(flags)
		}
		dst = append(dst, e)
		last, any = e.Slot, true
	}
	return dst, nil
}

// AppendIDs writes what entries, ascending by slot, have of identities as a
// .ids file; nothing if none has any.
func AppendIDs(dst []byte, entries []Entry) ([]byte, error) {
	for i := range entries {
		e := &entries[i]
		key := string(e.Key)
		if e.Key == e.Slot.Key() {
			key = ""
		}
		if key == "" && e.GUID == "" && e.Extra == nil {
			continue
		}
		dst = strconv.AppendUint(dst, uint64(e.Slot), 10)
		dst = append(dst, '\t')
		dst = appendField(dst, key)
		dst = append(dst, '\t')
		switch {
		case e.GUID == "=":
			dst = append(dst, `\=`...)
		case e.GUID != "" && e.GUID == key:
			dst = append(dst, '=')
		default:
			dst = appendField(dst, e.GUID)
		}
		dst = append(dst, '\t')
		if e.Extra != nil {
			text, err := json.Marshal(e.Extra)
			if err != nil {
				return dst, fmt.Errorf("encode identities of message %s: %w", e.Slot, err)
			}
			dst = append(dst, text...)
		}
		dst = append(dst, '\n')
	}
	return dst, nil
}

// ParseIDs puts the identities of a .ids file into entries, which are ascending
// by slot; lines of other slots mean nothing. Entries without a line get their
// slot as key.
func ParseIDs(entries []Entry, file []byte, first Slot) error {
	at := 0
	for len(file) > 0 {
		line, rest, ok := bytes.Cut(file, []byte{'\n'})
		if !ok {
			return fmt.Errorf("identities %s: last line is cut off", first)
		}
		file = rest
		fields := bytes.SplitN(line, []byte{'\t'}, 4)
		if len(fields) != 4 {
			return fmt.Errorf("identities %s: bad line %.40q", first, line)
		}
		slot, err := parseUint(fields[0])
		if err != nil {
			return fmt.Errorf("identities %s: bad line for message %.20q", first, fields[0])
		}
		for at < len(entries) && entries[at].Slot < Slot(slot) {
			at++
		}
		if at == len(entries) {
			break
		}
		if entries[at].Slot != Slot(slot) {
			continue
		}
		if err := entries[at].setIDs(fields); err != nil {
			return fmt.Errorf("identities %s: message %d: %w", first, slot, err)
		}
	}
	for i := range entries {
		if entries[i].Key == "" {
			entries[i].Key = entries[i].Slot.Key()
		}
	}
	return nil
}

func (e *Entry) setIDs(fields [][]byte) error {
	e.Key = mail.Key(parseField(fields[1]))
	switch guid := string(fields[2]); guid {
	case "=":
		e.GUID = string(e.Key)
	case `\=`:
		e.GUID = "="
	default:
		e.GUID = parseField(fields[2])
	}
	if len(fields[3]) > 0 {
		e.Extra = new(Extra)
		if err := json.Unmarshal(fields[3], e.Extra); err != nil {
			return fmt.Errorf("decode what else is known: %w", err)
		}
	}
	return nil
}

func parseUint(text []byte) (uint64, error) {
	var n uint64
	if len(text) == 0 || len(text) > 20 {
		return 0, strconv.ErrSyntax
	}
	for _, c := range text {
		if c < '0' || c > '9' || n > (1<<64-1-uint64(c-'0'))/10 {
			return 0, strconv.ErrSyntax
		}
		n = n*10 + uint64(c-'0')
	}
	return n, nil
}

func appendField(dst []byte, s string) []byte {
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '\t':
			dst = append(dst, `\t`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\\':
			dst = append(dst, `\\`...)
		case 0:
			dst = append(dst, `\0`...)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}

func parseField(f []byte) string {
	if bytes.IndexByte(f, '\\') < 0 {
		return string(f)
	}
	out := make([]byte, 0, len(f))
	for i := 0; i < len(f); i++ {
		c := f[i]
		if c == '\\' && i+1 < len(f) {
			i++
			switch f[i] {
			case 't':
				c = '\t'
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case '0':
				c = 0
			default:
				c = f[i]
			}
		}
		out = append(out, c)
	}
	return string(out)
}
