package message

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

// checkCut fails unless the ranges are the whole of raw, in order, and of legal length.
func checkCut(t *testing.T, raw []byte, ranges []Range) {
	t.Helper()
	at := 0
	for i, r := range ranges {
		if r.Start != at || r.End <= r.Start || r.End-r.Start > maxPiece {
			t.Fatalf("range %d of %d is %v, the one before ended at %d", i, len(ranges), r, at)
		}
		at = r.End
	}
	if at != len(raw) {
		t.Fatalf("ranges end at %d of %d", at, len(raw))
	}
}

// cutSlowly is Cut with a window that grows by step octets and is moved whenever it can be.
func cutSlowly(raw []byte, step int) []Range {
	var c cuts
	var dst []Range
	c.reset(nil, false)
	for have := 0; ; {
		if n, kind, ok := c.next(); ok {
			dst = append(dst, Range{int(c.start), int(c.start) + n, kind})
			c.start += int64(n)
			continue
		}
		if have == len(raw) && c.scan.final {
			return dst
		}
		have = min(have+step, len(raw))
		drop := int(c.start - c.scan.base)
		// A copy, so that a look behind start is seen as garbage.
		c.scan.move(drop, bytes.Clone(raw[c.start:have]), have == len(raw))
	}
}

// cutAll reads raw through a Cutter.
func cutAll(t *testing.T, r io.Reader) (ranges []Range, whole []byte) {
	t.Helper()
	c := NewCutter(r)
	for {
		at := len(whole)
		if c.Offset() != int64(at) {
			t.Fatalf("Offset() = %d, want %d", c.Offset(), at)
		}
		kind, b, err := c.Next()
		if err == io.EOF {
			return ranges, whole
		}
		if err != nil {
			t.Fatal(err)
		}
		whole = append(whole, b...)
		ranges = append(ranges, Range{at, len(whole), kind})
	}
}

// The body of a long part in base64 is a range of its own, and nothing else is cut.
func TestCutPlaces(t *testing.T) {
	long := string(base64Body(1, 10000))
	short := string(base64Body(2, 5000))
	for _, tt := range []struct {
		name string
		raw  string
		want []string // the base64 ranges
	}{
		{"empty", "", nil},
		{"one part", "Content-Transfer-Encoding: BASE64\n\n" + long, []string{long}},
		{"short part", "Content-Transfer-Encoding: base64\n\n" + short, nil},
		{"not base64", "Content-Transfer-Encoding: 8bit\n\n" + long, nil},
		{"first field counts", "Content-Transfer-Encoding: 8bit\nContent-Transfer-Encoding: base64\n\n" + long, nil},
		{"quoted and commented", "content-transfer-encoding : \"base64\" (really)\n\n" + long, []string{long}},
		{"mbox line on top", "From alice@example.com Thu Jul  4 12:00:00 2002\nContent-Transfer-Encoding: base64\n\n" + long, []string{long}},
		{"no empty line", "Content-Transfer-Encoding: base64\n" + long, nil},
		{"folded boundary", "Content-Type: multipart/mixed;\n\tcharset=x;\n boundary=b\n\n--b\nContent-Transfer-Encoding: base64\n\n" + long + "--b--\n", []string{long}},
		{"boundary in a name", "Content-Type: multipart/mixed; name=\"; boundary=c\"; boundary=\"b \"\n\n--b\nContent-Transfer-Encoding: base64\n\n" + long + "--c\n--b--\n", []string{long + "--c"}},
		{"longer boundary", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: base64\n\n" + long + "--bb\n--b --\n", []string{long + "--bb"}},
		{"two parts", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: base64\n\n" + long + "--b\nContent-Transfer-Encoding: base64\n\n" + long + "\n\n--b--\n", []string{long, long}},
		{"nested, inner not closed", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/related; boundary=c\n\n--c\nContent-Transfer-Encoding: base64\n\n" + long + "--b\nContent-Transfer-Encoding: base64\n\n" + long, []string{long, long}},
		{"attached message", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nSubject: x\nContent-Transfer-Encoding: base64\n\n" + long + "--b--", []string{long}},
		{"digest", "Content-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: x\nContent-Transfer-Encoding: base64\n\n" + long + "--b--", []string{long}},
		{"header ends at delimiter", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Transfer-Encoding: base64\n--b\nContent-Transfer-Encoding: base64\n\n" + long, []string{long}},
		{"epilogue", "Content-Type: multipart/mixed; boundary=b\n\n--b--\n--b\nContent-Transfer-Encoding: base64\n\n" + long, nil},
		{"huge field", "Content-Type: multipart/mixed; x=" + strings.Repeat("y", 20000) + "; boundary=b\n\n--b\nContent-Transfer-Encoding: base64\n\n" + long, nil},
		{"NUL and lone CR", "X: \x00\r\x00\nContent-Transfer-Encoding: base64\n\n" + long, []string{long}},
	} {
		for _, lineEnd := range []string{"\n", "\r\n"} {
			t.Run(tt.name+fmt.Sprintf("%q", lineEnd), func(t *testing.T) {
				with := func(s string) string {
					return strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", lineEnd)
				}
				raw := []byte(with(tt.raw))
				ranges := Cut(nil, raw)
				checkCut(t, raw, ranges)
				var got, want []string
				for _, r := range ranges {
					if r.Kind == Base64 {
						got = append(got, string(raw[r.Start:r.End]))
					}
				}
				for _, w := range tt.want {
					want = append(want, strings.TrimRight(with(w), "\r\n"))
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("base64 ranges (-want +got):\n%s", diff)
				}
				for _, step := range []int{31, 4096} {
					if diff := cmp.Diff(ranges, cutSlowly(raw, step)); diff != "" {
						t.Errorf("cut by steps of %d (-at once +slowly):\n%s", step, diff)
					}
				}
			})
		}
	}
}

// The gear table is the one that its comment says. It is part of the format.
func TestGearTable(t *testing.T) {
	for i, got := range gear {
		sum := sha256.Sum256(append([]byte("roost gear 1"), byte(i)))
		if want := binary.BigEndian.Uint64(sum[:8]); got != want {
			t.Fatalf("gear[%d] = %#x, want %#x", i, got, want)
		}
	}
}

// The cuts are part of the repository format: where this fails, attachments that are already
// stored would be stored again.
func TestCutGolden(t *testing.T) {
	raw := append(withAttachment(3, 13<<20), bytes.Repeat([]byte("Plain text, as it comes.\r\n"), 200_000)...)
	ranges := Cut(nil, raw)
	checkCut(t, raw, ranges)
	want := []Range{
		{0, 344, Text},
		{344, 2594269, Base64},
		{2594269, 6570735, Base64},
		{6570735, 8774764, Base64},
		{8774764, 10923091, Base64},
		{10923091, 12216309, Base64},
		{12216309, 13631856, Base64},
		{13631856, 17826160, Text},
		{17826160, 18831868, Text},
	}
	if diff := cmp.Diff(want, ranges); diff != "" {
		t.Errorf("Cut (-want +got):\n%s", diff)
	}
}

// A large part shares all but a piece or two with one that was changed in the middle.
func TestCutFindsPlacesAgain(t *testing.T) {
	a := withAttachment(4, 40<<20)
	b := bytes.Clone(a)
	b = append(b[:20<<20], append([]byte("inserted"), b[20<<20:]...)...)
	seen := make(map[string]bool)
	for _, r := range Cut(nil, a) {
		seen[string(a[r.Start:r.End])] = true
	}
	ranges := Cut(nil, b)
	fresh := 0
	for _, r := range ranges {
		if !seen[string(b[r.Start:r.End])] {
			fresh++
		}
	}
	if len(ranges) < 15 || fresh == 0 || fresh > 3 {
		t.Errorf("%d of %d ranges are new after one insertion, want 1 to 3 of at least 15", fresh, len(ranges))
	}
}

// A message that is read is cut like one in memory, however long it is.
func TestCutterEqualsCut(t *testing.T) {
	for _, tt := range []struct {
		name string
		raw  []byte
	}{
		{"empty", nil},
		{"small", crlf("Subject: x\n\ny\n")},
		{"attachment", withAttachment(5, 100_000)},
		{"large attachment", withAttachment(6, 14<<20)},
		{"large text", append(crlf("Subject: x\n\n"), base64Body(7, 12<<20)...)},
		{"one long line", bytes.Repeat([]byte{'x'}, 12<<20)},
		{"long field, then attachment", append([]byte("X: "+strings.Repeat("y", 9<<20)+"\r\n"), withAttachment(8, 9<<20)...)},
		{"exactly the longest piece", bytes.Repeat([]byte{'x'}, maxPiece)},
		{"one more", bytes.Repeat([]byte{'x'}, maxPiece+1)},
		{"line ends only", bytes.Repeat([]byte{'\n'}, 9<<20)},
		{"blank attachment", append(crlf("Content-Transfer-Encoding: base64\n\n"), bytes.Repeat([]byte{'\n'}, 9<<20)...)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			want := Cut(nil, tt.raw)
			checkCut(t, tt.raw, want)
			got, whole := cutAll(t, bytes.NewReader(tt.raw))
			if !bytes.Equal(whole, tt.raw) {
				t.Fatal("what was read is not what was cut")
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-Cut +Cutter):\n%s", diff)
			}
			if len(tt.raw) > 8<<20 {
				if diff := cmp.Diff(want, cutSlowly(tt.raw, 3<<20+13)); diff != "" {
					t.Errorf("(-Cut +slowly):\n%s", diff)
				}
			}
		})
	}
}

// A Cutter holds a bounded part of a message without end, and reports how reading it failed.
func TestCutterBounded(t *testing.T) {
	broken := errors.New("connection reset")
	r := io.MultiReader(bytes.NewReader(crlf("Subject: x\n\n")), io.LimitReader(zeros{}, 100<<20), iotest.ErrReader(broken))
	c := NewCutter(r)
	var size int64
	for {
		_, b, err := c.Next()
		if err != nil {
			if !errors.Is(err, broken) {
				t.Errorf("Next() = %v, want %v", err, broken)
			}
			break
		}
		size += int64(len(b))
	}
	if size < 90<<20 || cap(c.buf) > maxBuffer {
		t.Errorf("%d octets were cut with a buffer of %d", size, cap(c.buf))
	}
	c.Reset(strings.NewReader("after"))
	if _, b, err := c.Next(); err != nil || string(b) != "after" {
		t.Errorf("after Reset: %q, %v", b, err)
	}
	if _, _, err := c.Next(); err != io.EOF {
		t.Errorf("at the end: %v, want EOF", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// deep returns a message nested n deep, each level with a body.
func deep(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		if i%2 == 0 {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=%d\n\n--%d\n", i, i)
		} else {
			b.WriteString("Content-Type: message/rfc822\n\n")
		}
	}
	b.WriteString("\nend\n")
	for i := n - 1; i >= 0; i-- {
		fmt.Fprintf(&b, "--%d--\n", i)
	}
	return b.Bytes()
}

// Nesting without bound costs neither stack nor more than linear time, and is still exact.
func TestCutDeep(t *testing.T) {
	raw := deep(10_000)
	checkCut(t, raw, Cut(nil, raw))
	if n := len(Parts(raw)); n != maxDepth+1 {
		t.Errorf("%d parts, want %d", n, maxDepth+1)
	}
}

func TestCutSamples(t *testing.T) {
	eachSample(t, func(name string, raw []byte) {
		ranges := Cut(nil, raw)
		checkCut(t, raw, ranges)
		if diff := cmp.Diff(ranges, cutSlowly(raw, max(61, len(raw)/20))); diff != "" {
			t.Errorf("%s (-at once +slowly):\n%s", name, diff)
		}
	})
}

func FuzzCut(f *testing.F) {
	f.Add([]byte(""), 1)
	f.Add(withAttachment(1, 9000), 100)
	f.Add(deep(100), 3)
	f.Add([]byte("Content-Type: multipart/digest; boundary=\"a\\\"b\"\r\n\r\n--a\"b\n\n\n--a\"b--"), 1)
	f.Add([]byte("From x\nc\rContent-Transfer-Encoding:base64\n\n"+strings.Repeat("QUJD", 3000)), 5)
	f.Fuzz(func(t *testing.T, raw []byte, step int) {
		ranges := Cut(nil, raw)
		checkCut(t, raw, ranges)
		if step = max(1, min(step, 1<<16)); len(raw)/step > 1000 {
			step = len(raw)/1000 + 1
		}
		if diff := cmp.Diff(ranges, cutSlowly(raw, step)); diff != "" {
			t.Errorf("(-at once +slowly):\n%s", diff)
		}
	})
}

func BenchmarkCut(b *testing.B) {
	text := append(crlf("From: alice@example.com\nSubject: x\nContent-Type: text/plain\n\n"), bytes.Repeat([]byte("Some - text -- of a line.\r\n"), 230)...)
	for _, bench := range []struct {
		name string
		raw  []byte
	}{
		{"text6KB", text},
		{"text60KB", append(text, bytes.Repeat(text, 9)...)},
		{"attachment500KB", withAttachment(1, 500_000)},
		{"attachment30MB", withAttachment(1, 30<<20)},
		{"deep", deep(10_000)},
	} {
		b.Run(bench.name, func(b *testing.B) {
			dst := make([]Range, 0, 64)
			b.SetBytes(int64(len(bench.raw)))
			b.ReportAllocs()
			for b.Loop() {
				dst = Cut(dst[:0], bench.raw)
			}
		})
	}
}

func BenchmarkCutter(b *testing.B) {
	raw := withAttachment(1, 500_000)
	c := NewCutter(nil)
	r := bytes.NewReader(raw)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		r.Reset(raw)
		c.Reset(r)
		for {
			if _, _, err := c.Next(); err != nil {
				break
			}
		}
	}
}
