package message

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// plainly alters a message in the plainest way.
func plainly(kind Alteration, raw []byte) []byte {
	crlf := AppendCRLF(nil, raw)
	switch kind {
	case MaskedHeader:
		for start := 0; start < len(crlf); {
			line, _, _ := bytes.Cut(crlf[start:], []byte("\n"))
			end := start + len(line)
			if len(line) == 0 || string(line) == "\r" {
				break
			}
			for i := start; i < end; i++ {
				if crlf[i] >= 0x80 {
					crlf[i] = 'X'
				}
			}
			start = end + 1
		}
		return crlf
	case DroppedCR:
		return bytes.TrimSuffix(bytes.ReplaceAll(crlf, []byte("\r\r\n"), []byte("\r\n")), []byte("\r"))
	}
	return crlf
}

func checkAltered(t *testing.T, kind Alteration, raw []byte, pieces func() int) {
	t.Helper()
	p := NewAlteredPrinter(kind)
	for rest := raw; len(rest) > 0; {
		n := min(pieces(), len(rest))
		p.Write(rest[:n])
		rest = rest[n:]
	}
	p.Finish()
	if got, want := p.Print(), PrintOf(raw); got != want {
		t.Fatalf("Print of %q = %v, want %v", raw, got, want)
	}
	if got, want := p.HeaderPrint(), HeaderPrintOf(raw); got != want {
		t.Fatalf("HeaderPrint of %q = %v, want %v", raw, got, want)
	}
	want := plainly(kind, raw)
	differs := !bytes.Equal(want, AppendCRLF(nil, raw))
	if got := p.Altered() != nil; got != differs {
		t.Fatalf("alteration %d changes %q: got %v, want %v", kind, raw, got, differs)
	}
	if got := kind.Alters(raw); got != differs {
		t.Fatalf("Alteration(%d).Alters(%q) = %v, want %v", kind, raw, got, differs)
	}
	if !differs {
		return
	}
	a := p.Altered()
	if got, want := a.Print(), PrintOf(want); got != want {
		t.Fatalf("altered print %d of %q = %v, want %v", kind, raw, got, want)
	}
	if got, want := a.HeaderPrint(), HeaderPrintOf(want); got != want {
		t.Fatalf("altered header print %d of %q = %v, want %v", kind, raw, got, want)
	}
	if got, want := a.SizeCRLF(), int64(len(want)); got != want {
		t.Fatalf("altered size %d of %q = %d, want %d", kind, raw, got, want)
	}
}

// The prints of an altered message are those of the message that the server would show, however its octets come in.
func TestAlteredPrintsAreThoseOfTheAlteredMessage(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	alphabet := []string{"\r", "\r", "\n", "\r\n", "a", "\xe4", "\xff", "x: "}
	for range 20000 {
		var raw []byte
		for range random.IntN(14) {
			raw = append(raw, alphabet[random.IntN(len(alphabet))]...)
		}
		for _, kind := range []Alteration{0, MaskedHeader, DroppedCR} {
			checkAltered(t, kind, raw, func() int { return 1 + random.IntN(4) })
		}
	}
}

func FuzzAlteredPrinter(f *testing.F) {
	f.Add([]byte("Subject: \xe4\r\r\n\r\nbody\r\r\n\r"), uint8(3))
	f.Add([]byte("\r\r"), uint8(1))
	f.Fuzz(func(t *testing.T, raw []byte, piece uint8) {
		for _, kind := range []Alteration{MaskedHeader, DroppedCR} {
			checkAltered(t, kind, raw, func() int { return 1 + int(piece) })
		}
	})
}
