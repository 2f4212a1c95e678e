package imap

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// describe reads all tokens of a stream and writes them one by one, so that a table can show them.
func describe(r *Reader) (string, error) {
	var b strings.Builder
	for {
		t, err := r.Next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return strings.TrimSpace(b.String()), err
		}
		switch t.Kind {
		case EOL:
			b.WriteString("$ ")
		case Atom:
			fmt.Fprintf(&b, "%s ", t.Bytes)
		case Quoted:
			fmt.Fprintf(&b, "%q ", t.Bytes)
		case Literal:
			body, err := io.ReadAll(r.Literal())
			if err != nil {
				return strings.TrimSpace(b.String()), err
			}
			fmt.Fprintf(&b, "{%s", body)
			if t.NonSync {
				b.WriteByte('+')
			}
			if t.Binary {
				b.WriteByte('~')
			}
			b.WriteString("} ")
		case Open:
			b.WriteString("( ")
		case Close:
			b.WriteString(") ")
		}
	}
}

var tokenCases = []struct{ name, wire, want string }{
	{"plain", "* 1 FETCH (UID 7)\r\n", "* 1 FETCH ( UID 7 ) $"},
	{"bare line feed", "* OK\n* NO\n", "* OK $ * NO $"},
	{"doubled spaces", "*  1   EXISTS \r\n", "* 1 EXISTS $"},
	{"lone carriage return", "* a\rb\r\r\n", "* a b $"},
	{"quoted", `"a b" "q\"u\\o" ""` + "\r\n", `"a b" "q\"u\\o" "" $`},
	{"quoted without end", "\"abc\r\nnext\r\n", `"abc" $ next $`},
	{"quoted ends in a backslash", "\"abc\\\r\nnext\r\n", `"abc\\" $ next $`},
	{"literal", "BODY[] {5}\r\na\r\nbc UID 1)\r\n", "BODY[] {a\r\nbc} UID 1 ) $"},
	{"literal of nothing", "{0}\r\n x\r\n", "{} x $"},
	{"literal that does not wait", "{1+}\r\nx {1-}\r\ny\r\n", "{x+} {y+} $"},
	{"binary literal", "~{3}\r\n\x00(\"\r\n", "{\x00(\"~} $"},
	{"literal after a bare line feed", "{2}\nab\n", "{ab} $"},
	{"literal without space before", "BODY[]{1}\r\nx)\r\n", "BODY[] {x} ) $"},
	{"literal that is none", "{abc} {5 {} {12}x ~ ~x\r\n", "{abc} {5 {} {12}x ~ ~x $"},
	{"literal too long to be one", "{99999999999999999999}\r\n", "{99999999999999999999} $"},
	{"section", "BODY[HEADER.FIELDS (SUBJECT DATE)]<0> x\r\n", "BODY[HEADER.FIELDS (SUBJECT DATE)]<0> x $"},
	{"section of a part", "BODY.PEEK[1.2.MIME] BINARY[1] body[]\r\n", "BODY.PEEK[1.2.MIME] BINARY[1] body[] $"},
	{"section with an odd origin", "BODY[]<x> y\r\n", "BODY[] <x> y $"},
	{"section without end", "BODY[HEADER x\r\ny\r\n", "BODY[HEADER x $ y $"},
	{"keyword with brackets", `(\Seen foo[bar x]y $a)` + "\r\n", `( \Seen foo[bar x]y $a ) $`},
	{"labels of Gmail", `(\Inbox "\\Sent" +x [Gmail] &AOk-)` + "\r\n", `( \Inbox "\\Sent" +x [Gmail] &AOk- ) $`},
	{"tail outside the list", "(UID 1) x) y\r\n", "( UID 1 ) x ) y $"},
	{"octets beyond ASCII and NUL", "a\xff\x00b \xc3\xa9\r\n", "a\xff\x00b \xc3\xa9 $"},
	{"empty lines", "\r\n\r\n", "$ $"},
}

// Each line becomes tokens, whatever it holds and however the connection cuts it.
func TestTokens(t *testing.T) {
	for _, c := range tokenCases {
		t.Run(c.name, func(t *testing.T) {
			got, err := describe(NewReader(strings.NewReader(c.wire)))
			if err != nil || got != c.want {
				t.Errorf("tokens of %q = %q, %v, want %q", c.wire, got, err, c.want)
			}
			got, err = describe(NewReader(iotest.OneByteReader(strings.NewReader(c.wire))))
			if err != nil || got != c.want {
				t.Errorf("tokens of %q octet by octet = %q, %v, want %q", c.wire, got, err, c.want)
			}
		})
	}
}

// A connection that ends within a line or a literal is not the end of the data.
func TestCutShort(t *testing.T) {
	for _, wire := range []string{"* OK", "* 1 FETCH (BODY[] {5}\r\nabc", "\"abc", "x {5", "x {5}\r", "BODY[a", "x\r", "* {3}\r\nabc"} {
		if got, err := describe(NewReader(strings.NewReader(wire))); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("tokens of %q = %q, %v, want %v", wire, got, err, io.ErrUnexpectedEOF)
		}
	}
	if _, err := NewReader(strings.NewReader("")).Next(); err != io.EOF {
		t.Errorf("next of nothing = %v, want %v", err, io.EOF)
	}
}

// Lists that nest without end and tokens without end are errors that leave the connection usable.
func TestBounds(t *testing.T) {
	deep := strings.Repeat("(", 1<<20) + strings.Repeat(")", 1<<20)
	for _, c := range []struct {
		name, line string
		want       error
	}{
		{"deep list", deep, ErrTooDeep},
		{"long atom", strings.Repeat("a", 1<<20), ErrTokenTooLong},
		{"long quoted string", `"` + strings.Repeat("a", 1<<20) + `"`, ErrTokenTooLong},
		{"long section", `BODY[` + strings.Repeat("a (", 1<<20) + `]`, ErrTokenTooLong},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := NewReader(strings.NewReader(c.line + "\r\n* OK\r\n"))
			r.MaxToken = minBuffer
			_, err := describe(r)
			if !errors.Is(err, c.want) {
				t.Fatalf("tokens of a %s: %v, want %v", c.name, err, c.want)
			}
			if err := r.SkipLine(); err != nil {
				t.Fatalf("skip the line of a %s: %v", c.name, err)
			}
			if got, err := describe(r); err != nil || got != "* OK $" {
				t.Errorf("after a %s = %q, %v, want the next line", c.name, got, err)
			}
			if len(r.buf) > 4*minBuffer {
				t.Errorf("after a %s the buffer holds %d octets", c.name, len(r.buf))
			}
		})
	}
	r := NewReader(strings.NewReader(strings.Repeat("a ", 1000) + "\r\n"))
	r.MaxLine = 1000
	if _, err := describe(r); !errors.Is(err, ErrLineTooLong) {
		t.Errorf("tokens of a long line: %v, want %v", err, ErrLineTooLong)
	}
}

// A literal is handed over octet by octet whatever its size, and skipped if nobody reads it.
func TestLiteralStream(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789"), 100_000)
	wire := fmt.Sprintf("a {%d}\r\n%s b {%d}\r\n%s c\r\n", len(body), body, len(body), body)
	for _, size := range []int{1 << 10, 1 << 20} {
		r := NewReader(strings.NewReader(wire))
		r.Next()
		if tok, err := r.Next(); err != nil || tok.Kind != Literal || tok.Size != int64(len(body)) {
			t.Fatalf("next = %+v, %v, want a literal of %d", tok, err, len(body))
		}
		var got bytes.Buffer
		if _, err := io.CopyBuffer(struct{ io.Writer }{&got}, r.Literal(), make([]byte, size)); err != nil || !bytes.Equal(got.Bytes(), body) {
			t.Fatalf("literal = %d octets, %v, want %d", got.Len(), err, len(body))
		}
		r.Next()
		r.Next()
		if tok, err := r.Next(); err != nil || string(tok.Bytes) != "c" {
			t.Errorf("after a skipped literal = %q, %v, want c", tok.Bytes, err)
		}
	}
}

// Text is the rest of a line, and String refuses literals beyond its limit without losing the place.
func TestTextAndString(t *testing.T) {
	r := NewReader(strings.NewReader("* OK [X (y] free \"text\" {3}\r\nx {5}\r\nabcde {2}\r\nab NIL\r\n"))
	r.Next()
	r.Next()
	if text, err := r.Text(); err != nil || string(text) != `[X (y] free "text" {3}` {
		t.Errorf("text = %q, %v", text, err)
	}
	for _, want := range []struct {
		s   string
		err error
	}{{"x", nil}, {"", ErrTokenTooLong}, {"ab", nil}, {"", nil}} {
		tok, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.String(tok, 2); string(got) != want.s || err != want.err {
			t.Errorf("string of %+v = %q, %v, want %q, %v", tok, got, err, want.s, want.err)
		}
	}
}

func FuzzReader(f *testing.F) {
	for _, c := range tokenCases {
		f.Add([]byte(c.wire))
	}
	f.Add([]byte(strings.Repeat("(", 200)))
	f.Fuzz(func(t *testing.T, wire []byte) {
		whole, wholeErr := describe(NewReader(bytes.NewReader(wire)))
		single, singleErr := describe(NewReader(iotest.OneByteReader(bytes.NewReader(wire))))
		if whole != single || !errors.Is(singleErr, wholeErr) {
			t.Errorf("tokens of %q depend on how it is cut: %q, %v and %q, %v", wire, whole, wholeErr, single, singleErr)
		}
		r := NewReader(bytes.NewReader(wire))
		lines := 0
		for r.SkipLine() == nil {
			lines++
		}
		if lines > bytes.Count(wire, []byte{'\n'}) {
			t.Errorf("%q has %d lines, skipped %d", wire, bytes.Count(wire, []byte{'\n'}), lines)
		}
	})
}
