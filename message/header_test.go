package message

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// Fields are found in whatever stands there, and what is no field is passed over.
func TestHeaderFields(t *testing.T) {
	type field struct{ Name, Value string }
	for _, tt := range []struct {
		name, raw string
		want      []field
		body      string
	}{
		{"crlf", "A: 1\r\nB:2\r\n\r\nbody", []field{{"A", " 1"}, {"B", "2"}}, "body"},
		{"lf", "A: 1\nB:2\n\nbody\n", []field{{"A", " 1"}, {"B", "2"}}, "body\n"},
		{"mixed", "A: 1\nB: 2\r\n\nbody", []field{{"A", " 1"}, {"B", " 2"}}, "body"},
		{"folded", "A: 1\r\n\t2\r\n 3\r\nB: 4\r\n\r\n", []field{{"A", " 1\r\n\t2\r\n 3"}, {"B", " 4"}}, ""},
		{"blank before the colon", "A : 1\n\n", []field{{"A", " 1"}}, ""},
		{"lone CR is content", "A: 1\rB: 2\nC: 3\n\nx", []field{{"A", " 1\rB: 2"}, {"C", " 3"}}, "x"},
		{"only CR", "A: 1\rB: 2\r\rC: 3\r", []field{{"A", " 1"}, {"B", " 2"}}, ""},
		{"NUL", "A: \x00\nB\x00: 2\n\n", []field{{"A", " \x00"}}, ""},
		{"mbox line on top", "From a@example.com Thu Jul  4 12:00:00 2002\nA: 1\n\nx", []field{{"A", " 1"}}, "x"},
		{"lost indent", "A: 1,\nmore\nB: 2\n\nx", []field{{"A", " 1,"}, {"B", " 2"}}, "x"},
		{"no empty line", "A: 1\nB: 2", []field{{"A", " 1"}, {"B", " 2"}}, ""},
		{"no header", "\nbody", nil, "body"},
		{"text only", "just text", nil, ""},
		{"empty", "", nil, ""},
		{"empty line is not folded into", "A: 1\n\n B: 2\n", []field{{"A", " 1"}}, " B: 2\n"},
		{"blank line is folded", "A: 1\n \nB: 2\n\n", []field{{"A", " 1\n "}, {"B", " 2"}}, ""},
		{"no name", ": 1\nB: 2\n\n", []field{{"B", " 2"}}, ""},
		{"CR at the end", "A: 1\n\r", []field{{"A", " 1"}}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			head, rest := Split([]byte(tt.raw))
			var got []field
			for name, value := range head.Fields() {
				got = append(got, field{string(name), string(value)})
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Fields of %q (-want +got):\n%s", tt.raw, diff)
			}
			if string(rest) != tt.body || string(head)+string(rest) != tt.raw {
				t.Errorf("Split(%q) = %q, %q", tt.raw, head, rest)
			}
		})
	}
}

// A field of 50 MB is walked over without a copy and is shown cut.
func TestHeaderHugeField(t *testing.T) {
	raw := append(append([]byte("X: "), bytes.Repeat([]byte("y"), 50<<20)...), "\nSubject: here\n\n"...)
	head, _ := Split(raw)
	if got := head.Subject(); got != "here" {
		t.Errorf("Subject() = %q", got)
	}
	if got := len(head.Get("x")); got != maxValue-1 {
		t.Errorf("Get(x) has %d octets, want %d", got, maxValue-1)
	}
	allocs := testing.AllocsPerRun(10, func() {
		for range head.Fields() {
		}
	})
	if allocs > 0 {
		t.Errorf("Fields allocates %v times", allocs)
	}
}

func TestHeaderListing(t *testing.T) {
	head := Header("from: =?iso-8859-1?Q?J=FCrgen?= <j@example.com>\r\nMESSAGE-ID: junk <a@b> junk\r\nDate: Thu, 4 Jul 2002 12:00:00 +0200 (CEST)\r\nSubject:\r\n")
	if got := head.From(); got != "Jürgen <j@example.com>" {
		t.Errorf("From() = %q", got)
	}
	if got := head.MessageID(); got != "<a@b>" {
		t.Errorf("MessageID() = %q", got)
	}
	if got, ok := head.Date(); !ok || !got.Equal(time.Date(2002, 7, 4, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("Date() = %v, %v", got, ok)
	}
	if got := head.Subject(); got != "" {
		t.Errorf("Subject() = %q", got)
	}
	if got := (Header)(nil).MessageID(); got != "" {
		t.Errorf("MessageID() of nothing = %q", got)
	}
}

// Encoded words are read as written and as broken; the result is one line of valid UTF-8.
func TestDecodeText(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"plain", "plain"},
		{"  two\r\n\t lines ", "two  lines"},
		{"=?UTF-8?B?w6TDtsO8?=", "äöü"},
		{"=?utf-8?q?a_b=20c?=", "a b c"},
		{"=?utf-8?q?a?= =?utf-8?q?b?=", "ab"},
		{"=?utf-8?q?a?=\r\n =?iso-8859-1?q?=E4?=", "aä"},
		{"=?utf-8?q?a?= and =?utf-8?q?b?=", "a and b"},
		{"=?utf-8?B?w6?= =?utf-8?B?Q=?=", "�"},       // no whole octets: they are not joined
		{"=?utf-8?Q?=C3?= =?utf-8?Q?=A4?=", "ä"},     // torn
		{"=?utf-8?B?w6Q?=", "ä"},                     // no padding
		{"=?utf-8?Q?a b c?=", "a b c"},               // spaces
		{"x=?utf-8?Q?=C3=A4?=y", "xäy"},              // glued
		{"\"=?utf-8?Q?=C3=A4?=\"", "\"ä\""},          // quoted
		{"=?utf-8*de?Q?=C3=A4?=", "ä"},               // language
		{"=?x-none?Q?abc?=", "abc"},                  // unknown charset
		{"=?x-none?Q?=E4?=", "ä"},                    // the same, 8-bit
		{"=?utf-8?Q?=E4?=", "�"},                     // lies
		{"=?utf-8?X?abc?=", "=?utf-8?X?abc?="},       // unknown encoding
		{"=?utf-8?Q?abc", "=?utf-8?Q?abc"},           // no end
		{"=?=?=?utf-8?Q?a?=", "=?=?a"},               // false starts
		{"=?utf-8?Q?=41?=", "A"},                     // "?=" and a digit
		{"=?utf-8?Q??=x", "x"},                       // empty
		{"=?utf-8?Q?=?=", "="},                       // bare
		{"=?koi8-r?B?8NLJ18XU?=", "Привет"},          // Cyrillic
		{"=?ISO-2022-JP?B?GyRCRnxLXBsoQg==?=", "日本"}, // stateful
		{"=?gb2312?B?1tDOxA==?=", "中文"},              // double octets
		{"J\xfcrgen", "Jürgen"},                      // raw Latin-1
		{"Jürgen", "Jürgen"},                         // raw UTF-8
		{"=?utf-8?Q?a=0D=0Ab=1B[31m=00?=", "ab [31m"},
		{"a\x00b\x7fc", "a b c"},
	} {
		if got := DecodeText([]byte(tt.in)); got != tt.want {
			t.Errorf("DecodeText(%q) = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestParseDate(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"Thu, 4 Jul 2002 12:30:59 +0200", "2002-07-04T12:30:59+02:00"},
		{"4 Jul 2002 12:30 -0530", "2002-07-04T12:30:00-05:30"},
		{"Thu,04 Jul 02 12:30:59 GMT", "2002-07-04T12:30:59Z"},
		{"Thu, 4 Jul 102 12:30:59 EST", "2002-07-04T12:30:59-05:00"},
		{"Thu, 4 Jul 1972 12:30:60 UT", "1972-07-04T12:31:00Z"},
		{"Thu (day) , 4 (of) July 2002 12:30:59 +0000 (a (b) c)", "2002-07-04T12:30:59Z"},
		{"Thu Jul  4 12:30:59 2002", "2002-07-04T12:30:59Z"},
		{"Thu Jul  4 12:30:59 CEST 2002", "2002-07-04T12:30:59+02:00"},
		{"Thursday, July 4, 2002 1:30 PM", "2002-07-04T13:30:00Z"},
		{"4-Jul-2002 12:30:59 +0200", "2002-07-04T12:30:59+02:00"},
		{"2002-07-04T12:30:59Z", "2002-07-04T12:30:59Z"},
		{"2002-07-04T12:30:59.123+02:00", "2002-07-04T12:30:59+02:00"},
		{"2002/07/04 12:30:59", "2002-07-04T12:30:59Z"},
		{"Thu, 4 Jul 2002 12.30.59 +0200", "2002-07-04T12:30:59+02:00"},
		{"Thu, 4 Jul 2002 12:30:59 \"GMT\"", "2002-07-04T12:30:59Z"},
		{"Thu, 4 Jul 2002 12:30:59 GMT+0200", "2002-07-04T12:30:59+02:00"},
		{"4 Jul 2002", "2002-07-04T00:00:00Z"},
		{"Thu, 4 Jul 2002 12:30:59 +9999", "2002-07-04T12:30:59Z"},
		{"Thu, 4 Jul 2002 99:30:59 +0200", "2002-07-04T00:00:00Z"},
		{"31 Feb 2002 12:00:00 +0000", ""},
		{"", ""},
		{"Thu,", ""},
		{"32 Jul 2002", ""},
		{"Jul 2002", ""},
		{strings.Repeat("(", 300), ""},
		{"-", ""},
		{"4 Jul 99999999999999999999", ""},
	} {
		got, ok := ParseDate(tt.in)
		text := ""
		if ok {
			text = got.Format(time.RFC3339)
		}
		if text != tt.want {
			t.Errorf("ParseDate(%q) = %q, want %q", tt.in, text, tt.want)
		}
	}
}

func FuzzHeader(f *testing.F) {
	f.Add([]byte("A: 1\r\n\tb\r\nDate: Thu, 4 Jul 2002 12:30:59 +0200\r\n\r\nbody"))
	f.Add([]byte("From: =?utf-8?Q?=C3=A4?= =?x?B?////?=\n\n"))
	f.Add([]byte("Subject: =?iso-2022-jp?B?GyRCRnxLXBsoQg==?=\r\rx"))
	f.Add([]byte("From: a@example.org\rSubject: old mac\r\rHello\r"))
	f.Add([]byte("A: 1\r\r\n\r\r\nB: 2\n\r\nx"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		head, rest := Split(raw)
		if !bytes.Equal(append(bytes.Clone(head), rest...), raw) {
			t.Fatalf("Split(%q) = %q, %q", raw, head, rest)
		}
		checkHeaderEnd(t, raw)
		for name, value := range head.Fields() {
			if len(name) == 0 || bytes.ContainsAny(name, ": \r\n\t") {
				t.Errorf("field name %q", name)
			}
			if text := DecodeText(value); strings.ContainsAny(text, "\r\n\x00\x1b") || strings.ToValidUTF8(text, "") != text {
				t.Errorf("DecodeText(%q) = %q", value, text)
			}
			textParameter(value, "name")
			ParseDate(string(value))
		}
		head.MessageID()
		head.Date()
	})
}

func BenchmarkListing(b *testing.B) {
	raw := withAttachment(1, 100)
	b.ReportAllocs()
	for b.Loop() {
		head, _ := Split(raw)
		if head.Subject() == "" || head.From() == "" {
			b.Fatal("not found")
		}
	}
}

// A header ends in the same place for all who look for its end, or a message would not be known again in another store.
func checkHeaderEnd(t *testing.T, raw []byte) {
	t.Helper()
	head, _ := Split(raw)
	if got, err := io.ReadAll(HeaderOf(iotest.HalfReader(bytes.NewReader(raw)))); err != nil || !bytes.Equal(got, head) {
		t.Errorf("HeaderOf(%q) = %q, %v, want %q as of Split", raw, got, err, head)
	}
	if HeaderPrintOf(raw) != HeaderPrintOf(head) {
		t.Errorf("the header print of %q is not that of its header %q", raw, head)
	}
}

// HeaderOf yields what Split does, however the message comes.
func TestHeaderOf(t *testing.T) {
	for _, raw := range []string{"", "A: 1\r\n\r\nbody", "A: 1\n\nbody\n\n", "\nbody", "\r\nbody", "A: 1\r\n", "A: 1", "A: 1\r\r\n\r\r\nB: 2\n\nx", "A: \r\n\r", "\r\r\n\nx", "A: 1\rB: 2\r\rbody\r", "a\r\r\r"} {
		want, _ := Split([]byte(raw))
		for _, read := range []func(io.Reader) io.Reader{iotest.OneByteReader, iotest.HalfReader, iotest.DataErrReader} {
			got, err := io.ReadAll(HeaderOf(read(strings.NewReader(raw))))
			if err != nil || string(got) != string(want) {
				t.Errorf("HeaderOf(%q) = %q, %v, want %q", raw, got, err, want)
			}
		}
	}
}
