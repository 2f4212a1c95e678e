package imap

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// A string goes as an atom, quoted or as a literal, whichever can hold it, and comes back as it was.
func TestWriteStrings(t *testing.T) {
	for _, c := range []struct{ name, s, want string }{
		{"atom", "INBOX", "INBOX"},
		{"nothing", "", `""`},
		{"nil", "nil", `"nil"`},
		{"space", "a b", `"a b"`},
		{"quote and backslash", `a"b\c`, `"a\"b\\c"`},
		{"wildcards", "a*b%", `"a*b%"`},
		{"line end", "a\r\nb", "{4+}\r\na\r\nb"},
		{"octets beyond ASCII", "é", "{2+}\r\né"},
		{"long", strings.Repeat("a", 1001), "{1001+}\r\n" + strings.Repeat("a", 1001)},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			w := NewWriter(&out)
			w.NonSync = NonSyncAny
			w.Wait = func() error { return errors.New("must not wait") }
			if err := w.AString(c.s).EndLine().Flush(); err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimSuffix(out.String(), "\r\n"); got != c.want {
				t.Errorf("AString(%q) = %q, want %q", c.s, got, c.want)
			}
			r := NewReader(&out)
			tok, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := r.String(tok, 1<<20); err != nil || string(got) != c.s {
				t.Errorf("AString(%q) is read as %q, %v", c.s, got, err)
			}
		})
	}
}

// A literal waits for the other side exactly where it must.
func TestWriteLiteralWaits(t *testing.T) {
	for _, c := range []struct {
		name  string
		level NonSync
		size  int
		waits int
		head  string
	}{
		{"never, small", NonSyncNever, 10, 1, "{10}"},
		{"small, small", NonSyncSmall, 4096, 0, "{4096+}"},
		{"small, large", NonSyncSmall, 4097, 1, "{4097}"},
		{"any, large", NonSyncAny, 1 << 20, 0, "{1048576+}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			waits := 0
			w := NewWriter(&out)
			w.NonSync = c.level
			w.Wait = func() error {
				waits++
				if got := out.String(); got != c.head+"\r\n" {
					t.Errorf("sent before the wait: %q, want %q", got, c.head)
				}
				return nil
			}
			body := strings.Repeat("x", c.size)
			if err := w.Literal(int64(c.size), strings.NewReader(body)).Flush(); err != nil {
				t.Fatal(err)
			}
			if out.String() != c.head+"\r\n"+body || waits != c.waits {
				t.Errorf("sent %d octets with %d waits, want head %q and %d waits", out.Len(), waits, c.head, c.waits)
			}
		})
	}
	var source *SourceError
	w := NewWriter(io.Discard)
	if err := w.Literal(5, strings.NewReader("abc")).Flush(); !errors.As(err, &source) || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("literal from a short source: %v, want a SourceError", err)
	}
}

// A log shows the line, never a secret, in whatever form the secret is sent.
func TestLogHasNoSecret(t *testing.T) {
	for _, secret := range []string{"hunter2", `hun"ter2`, "hun\r\nter2", strings.Repeat("hunter2", 1000)} {
		var log []string
		w := NewWriter(io.Discard)
		w.Log = func(line []byte) { log = append(log, string(line)) }
		w.Raw("a1 LOGIN ").AString("alice").Raw(" ").Secret(secret).EndLine().Flush()
		all := strings.Join(log, "\n")
		if strings.Contains(all, "hun") || strings.Contains(all, "ter2") || !strings.Contains(all, "alice") {
			t.Errorf("log of a login with %.20q: %q", secret, all)
		}
	}
}

// Flags that would break the line are refused.
func TestWriteFlags(t *testing.T) {
	var out bytes.Buffer
	if err := NewWriter(&out).Flags([]string{`\Seen`, "$Forwarded", "a[b"}).Flush(); err != nil || out.String() != `(\Seen $Forwarded a[b)` {
		t.Errorf("flags = %q, %v", out.String(), err)
	}
	for _, f := range []string{"", `\`, "a b", "a)", "é", "a\r\nb", `\Seen\`, "x]"} {
		if err := NewWriter(io.Discard).Flags([]string{f}).Flush(); err == nil {
			t.Errorf("flag %q was written", f)
		}
	}
}

// Modified UTF-7 decodes to what was encoded; what is not modified UTF-7 is told apart and left readable.
func TestMailboxNames(t *testing.T) {
	for _, c := range []struct {
		wire, name string
		ok         bool
	}{
		{"INBOX", "INBOX", true},
		{"&-", "&", true},
		{"Entw&APw-rfe", "Entwürfe", true},
		{"&ZeVnLIqe-", "日本語", true},
		{"~peter/mail/&U,BTFw-/&ZeVnLIqe-", "~peter/mail/台北/日本語", true},
		{"&2D3eAA-", "😀", true},
		{"a&b", "a&b", false},
		{"&", "&", false},
		{"&APw", "&APw", false},
		{"&AGE-", "a", false},           // needless
		{"&APx-", "ü", false},           // bits left over
		{"&2D0-", "&2D0-", false},       // half a surrogate pair
		{"&!-x", "&!-x", false},         // no base64
		{"Entwürfe", "Entwürfe", false}, // UTF-8 as it is
		{"\xff", "\xff", false},
	} {
		name, ok := DecodeMailbox(c.wire)
		if name != c.name || ok != c.ok {
			t.Errorf("DecodeMailbox(%q) = %q, %v, want %q, %v", c.wire, name, ok, c.name, c.ok)
		}
		if ok && EncodeMailbox(name) != c.wire {
			t.Errorf("EncodeMailbox(%q) = %q, want %q", name, EncodeMailbox(name), c.wire)
		}
	}
}

// Dates are read as servers write them, odd ones too; what is no date is the zero time.
func TestParseDate(t *testing.T) {
	at := func(y int, m time.Month, d, h, min, s int) time.Time {
		return time.Date(y, m, d, h, min, s, 0, time.UTC)
	}
	for _, c := range []struct {
		text string
		want time.Time
	}{
		{"17-Jul-1996 02:44:25 -0700", at(1996, 7, 17, 9, 44, 25)},
		{" 1-Jan-1970 00:00:00 +0000", at(1970, 1, 1, 0, 0, 0)},
		{" 1-Jan-1970", at(1970, 1, 1, 0, 0, 0)},
		{"1-jan-2020 01:02:03 +1400", at(2019, 12, 31, 11, 2, 3)},
		{"01-JAN-99 01:02:03 +0000", at(1999, 1, 1, 1, 2, 3)},
		{"01-Jan-05 01:02 GMT", at(2005, 1, 1, 1, 2, 0)},
		{"31-Dec-2016 23:59:60 +0000", at(2017, 1, 1, 0, 0, 0)},
		{"00-Jan-0000 00:00:00 +0000", time.Time{}},
		{"01-Jan-0000 00:00:00 +0000", time.Time{}},
		{"32-Jan-2000 00:00:00 +0000", time.Time{}},
		{"01-Foo-2000 00:00:00 +0000", time.Time{}},
		{"01-Jan-2000 xx", time.Time{}},
		{"", time.Time{}},
		{"NIL", time.Time{}},
	} {
		if got := ParseDate([]byte(c.text)); !got.Equal(c.want) {
			t.Errorf("ParseDate(%q) = %v, want %v", c.text, got, c.want)
		}
	}
}

// Sets are ascending and cut into lines that small servers take.
func TestSets(t *testing.T) {
	if got := SetOf(5, 1, 2, 0, 3, 7, 4294967295, 2, 4294967294).String(); got != "1:3,5,7,4294967294:4294967295" {
		t.Errorf("SetOf = %q", got)
	}
	var odd []uint32
	for u := uint32(4_000_000_001); u < 4_000_010_000; u += 2 {
		odd = append(odd, u)
	}
	var all []uint32
	for chunk := range SetOf(odd...).Chunks(0) {
		if n := len(chunk.String()); n > 2048 {
			t.Errorf("a chunk has %d octets", n)
		}
		all = slices.AppendSeq(all, chunk.All())
	}
	if diff := cmp.Diff(odd, all); diff != "" {
		t.Errorf("chunks lose or reorder (-want +got):\n%s", diff)
	}
	var sizes []int64
	for chunk := range (Set{{1, 250}, {300, 300}, {400, 4294967295}}).Chunks(100) {
		if sizes = append(sizes, chunk.Len()); len(sizes) == 4 {
			break
		}
	}
	if diff := cmp.Diff([]int64{100, 100, 100, 100}, sizes); diff != "" {
		t.Errorf("sizes of chunks (-want +got):\n%s", diff)
	}
	for text, want := range map[string]string{"3:1,7": "1:3,7", "5": "5"} {
		if got, err := ParseSet(text); err != nil || got.String() != want {
			t.Errorf("ParseSet(%q) = %v, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", "1:*", "a", "-1", "4294967296", "1:", ":"} {
		if got, err := ParseSet(text); err == nil {
			t.Errorf("ParseSet(%q) = %v, want an error", text, got)
		}
	}
}

// Numbers beyond what IMAP allows are read as near as can be.
func TestParseNumber(t *testing.T) {
	for _, c := range []struct {
		text string
		want int64
		ok   bool
	}{{"0", 0, true}, {"12", 12, true}, {"12.5", 12, true}, {"-1", -1, true}, {"99999999999999999999", 1<<63 - 1, true},
		{"", 0, false}, {"x", 0, false}, {"1x", 1, false}, {"-", 0, false}, {".5", 0, false}} {
		if got, ok := ParseNumber([]byte(c.text)); got != c.want || ok != c.ok {
			t.Errorf("ParseNumber(%q) = %d, %v, want %d, %v", c.text, got, ok, c.want, c.ok)
		}
	}
}

func FuzzMailboxName(f *testing.F) {
	for _, s := range []string{"INBOX", "&-", "Entw&APw-rfe", "&2D3eAA-", "a&b", "&2D0-", "日本語/😀", "\xff&", "&AAA-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if name, ok := DecodeMailbox(s); ok && EncodeMailbox(name) != s {
			t.Errorf("DecodeMailbox(%q) = %q, which encodes to %q", s, name, EncodeMailbox(name))
		}
		valid := strings.ToValidUTF8(s, "?")
		if name, ok := DecodeMailbox(EncodeMailbox(valid)); !ok || name != valid {
			t.Errorf("%q encodes to %q, which decodes to %q, %v", valid, EncodeMailbox(valid), name, ok)
		}
	})
}

func FuzzParseDate(f *testing.F) {
	for _, s := range []string{"17-Jul-1996 02:44:25 -0700", " 1-Jan-1970", "00-Jan-0000 00:00:00 +0000", "1-Feb-05 24:00 +2400"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := ParseDate([]byte(s))
		if again := ParseDate([]byte(FormatDate(got))); got.Year() > 0 && got.Year() < 10000 && !got.IsZero() && !again.Equal(got) {
			t.Errorf("ParseDate(%q) = %v, which is formatted and read as %v", s, got, again)
		}
	})
}

func FuzzParseSet(f *testing.F) {
	for _, s := range []string{"1:3,7", "3:1", "*", "4294967295", "1,,2"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		set, err := ParseSet(s)
		if err != nil {
			return
		}
		if again, err := ParseSet(set.String()); err != nil || !slices.Equal(set, again) {
			t.Errorf("ParseSet(%q) = %v, which is read again as %v, %v", s, set, again, err)
		}
	})
}
