package message

import (
	"bytes"
	"crypto/sha256"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// The print of a message does not know LF from CRLF, and knows everything else apart.
func TestPrint(t *testing.T) {
	want := Print(sha256.Sum256([]byte("A: 1\r\n\r\nx\ry\r\n")))
	for _, raw := range []string{"A: 1\r\n\r\nx\ry\r\n", "A: 1\n\nx\ry\n", "A: 1\r\n\nx\ry\n"} {
		if got := PrintOf([]byte(raw)); got != want {
			t.Errorf("PrintOf(%q) = %v, want %v", raw, got, want)
		}
	}
	for _, raw := range []string{"", "A: 1\n\nx\ny\n", "A: 1\n\nx\ry", "A: 1\n\nx\r\ry\n", "A:  1\n\nx\ry\n"} {
		if got := PrintOf([]byte(raw)); got == want {
			t.Errorf("PrintOf(%q) is that of another message", raw)
		}
	}
}

// The print of a header does not know where it was read: with its empty line, without, with a body.
func TestHeaderPrint(t *testing.T) {
	want := Print(sha256.Sum256([]byte("A: 1\r\nB: 2\r\n")))
	for _, raw := range []string{"A: 1\r\nB: 2\r\n\r\nbody\n", "A: 1\nB: 2\n", "A: 1\nB: 2", "A: 1\nB: 2\n\n", "A: 1\r\nB: 2\n\nbody\r\n\r\n"} {
		if got := HeaderPrintOf([]byte(raw)); got != want {
			t.Errorf("HeaderPrintOf(%q) = %v, want %v", raw, got, want)
		}
		var p Printer
		if _, err := io.Copy(&p, iotest.OneByteReader(strings.NewReader(raw))); err != nil {
			t.Fatal(err)
		}
		if got := p.HeaderPrint(); got != want {
			t.Errorf("HeaderPrint() of %q octet by octet = %v, want %v", raw, got, want)
		}
	}
	if HeaderPrintOf([]byte("A: 1\nB: 2\r\r\n")) == want {
		t.Error("a CR that is content was taken for none")
	}
}

func TestPrintText(t *testing.T) {
	p := PrintOf([]byte("x"))
	const want = "1:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"
	if p.String() != want {
		t.Errorf("String() = %s, want %s", p, want)
	}
	if got, err := ParsePrint(want); err != nil || got != p {
		t.Errorf("ParsePrint(%s) = %v, %v", want, got, err)
	}
	for _, bad := range []string{"", want[2:], "2:" + want[2:], want[:60], want + "00", "1:" + strings.Repeat("g", 64)} {
		if _, err := ParsePrint(bad); err == nil {
			t.Errorf("ParsePrint(%q) found no fault", bad)
		}
	}
}

func TestLineEnds(t *testing.T) {
	for _, tt := range []struct{ in, crlf, lf string }{
		{"", "", ""},
		{"a\nb\n", "a\r\nb\r\n", "a\nb\n"},
		{"a\r\nb", "a\r\nb", "a\nb"},
		{"\n", "\r\n", "\n"},
		{"a\rb\r", "a\rb\r", "a\rb\r"},
		{"\r\r\n\n\r", "\r\r\n\r\n\r", "\r\n\n\r"},
	} {
		if got := string(AppendCRLF(nil, []byte(tt.in))); got != tt.crlf {
			t.Errorf("AppendCRLF(%q) = %q, want %q", tt.in, got, tt.crlf)
		}
		if got := string(AppendLF(nil, []byte(tt.in))); got != tt.lf {
			t.Errorf("AppendLF(%q) = %q, want %q", tt.in, got, tt.lf)
		}
	}
}

// checkLineEnds compares each form of conversion and print with the plainest there is.
func checkLineEnds(t *testing.T, raw []byte) {
	t.Helper()
	lf := bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))
	want := bytes.ReplaceAll(lf, []byte("\n"), []byte("\r\n"))
	if got := AppendCRLF(nil, raw); !bytes.Equal(got, want) {
		t.Fatalf("AppendCRLF(%q) = %q", raw, got)
	}
	if got := AppendLF(nil, raw); !bytes.Equal(got, lf) {
		t.Fatalf("AppendLF(%q) = %q", raw, got)
	}
	if got := SizeCRLF(raw); got != int64(len(want)) {
		t.Fatalf("SizeCRLF(%q) = %d, want %d", raw, got, len(want))
	}
	readers := []func(io.Reader) io.Reader{iotest.DataErrReader, iotest.HalfReader, iotest.OneByteReader}
	if len(raw) > 2000 {
		readers = readers[:1]
	}
	for _, read := range readers {
		got, err := io.ReadAll(NormalizeCRLF(read(bytes.NewReader(raw))))
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("NormalizeCRLF(%q) = %q, %v", raw, got, err)
		}
		got, err = io.ReadAll(NormalizeLF(read(bytes.NewReader(raw))))
		if err != nil || !bytes.Equal(got, lf) {
			t.Fatalf("NormalizeLF(%q) = %q, %v", raw, got, err)
		}
		var p Printer
		if _, err := io.Copy(&p, struct{ io.Reader }{read(bytes.NewReader(raw))}); err != nil {
			t.Fatal(err)
		}
		if p.Print() != PrintOf(raw) || p.Print() != Print(sha256.Sum256(want)) {
			t.Fatalf("the prints of %q differ", raw)
		}
		if p.HeaderPrint() != HeaderPrintOf(want) {
			t.Fatalf("the header prints of %q differ", raw)
		}
		// With LF, a CR that is content before a CRLF becomes a part of it.
		if !bytes.Contains(raw, []byte("\r\r\n")) && p.HeaderPrint() != HeaderPrintOf(lf) {
			t.Fatalf("the header print of %q differs with LF", raw)
		}
		if p.SizeCRLF() != int64(len(want)) {
			t.Fatalf("SizeCRLF() = %d, want %d", p.SizeCRLF(), len(want))
		}
	}
}

func TestLineEndsSamples(t *testing.T) {
	eachSample(t, func(_ string, raw []byte) { checkLineEnds(t, raw) })
}

func FuzzLineEnds(f *testing.F) {
	f.Add([]byte("A: 1\r\nB: 2\n\r\nbody\r\r\n\n\r"))
	f.Add([]byte("\r"))
	f.Add(bytes.Repeat([]byte("line\r\n"), 9000))
	f.Fuzz(checkLineEnds)
}

func BenchmarkPrint(b *testing.B) {
	for _, bench := range []struct {
		name string
		raw  []byte
	}{
		{"crlf", withAttachment(1, 100_000)},
		{"lf", AppendLF(nil, withAttachment(1, 100_000))},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.SetBytes(int64(len(bench.raw)))
			b.ReportAllocs()
			for b.Loop() {
				PrintOf(bench.raw)
			}
		})
	}
}

func BenchmarkSizeCRLF(b *testing.B) {
	raw := withAttachment(1, 100_000)
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		SizeCRLF(raw)
	}
}
