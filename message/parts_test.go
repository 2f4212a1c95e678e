package message

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// outline tells the tree of parts in lines: depth, type, content.
func outline(raw []byte) []string {
	var out []string
	parts := Parts(raw)
	depth := make([]int, len(parts))
	for i, p := range parts {
		if p.Parent >= 0 {
			depth[i] = depth[p.Parent] + 1
		}
		text := ""
		if p.Leaf {
			text = " " + string(p.Content())
		}
		out = append(out, strings.Repeat(".", depth[i])+p.Type+text)
	}
	return out
}

func TestParts(t *testing.T) {
	for _, tt := range []struct {
		name, raw string
		want      []string
	}{
		{"empty", "", []string{"text/plain "}},
		{"header only", "A: 1\n", []string{"text/plain "}},
		{"text", "A: 1\n\nx\n", []string{"text/plain x\n"}},
		{"multipart", "Content-Type: Multipart/Mixed; boundary=b\n\npre\n--b\n\none\n--b\nContent-Type: image/png\n\ntwo\n--b--\npost\n",
			[]string{"multipart/mixed", ".text/plain one", ".image/png two"}},
		{"no delimiter at all", "Content-Type: multipart/mixed; boundary=b\n\nx\n", []string{"multipart/mixed"}},
		{"empty parts", "Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n\n--b\n\n\n--b--", []string{"multipart/mixed", ".text/plain ", ".text/plain ", ".text/plain "}},
		{"nested", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\n1\n--c--\nepilogue\n--b\n\n2\n--b--",
			[]string{"multipart/mixed", ".multipart/alternative", "..text/plain 1", ".text/plain 2"}},
		{"inner not closed", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: multipart/alternative; boundary=c\n\n--c\n\n1\n--b\n\n2\n",
			[]string{"multipart/mixed", ".multipart/alternative", "..text/plain 1", ".text/plain 2\n"}},
		{"message", "Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nA: 1\nContent-Type: text/html\n\n<p>\n--b--",
			[]string{"multipart/mixed", ".message/rfc822", "..text/html <p>"}},
		{"digest", "Content-Type: multipart/digest; boundary=b\n\n--b\n\nA: 1\n\nx\n--b\nContent-Type: text/plain\n\ny\n--b--",
			[]string{"multipart/digest", ".message/rfc822", "..text/plain x", ".text/plain y"}},
		{"encoded message", "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\nQQ==", []string{"message/rfc822 QQ=="}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, outline([]byte(tt.raw))); diff != "" {
				t.Errorf("Parts(%q) (-want +got):\n%s", tt.raw, diff)
			}
			want := make([]string, len(tt.want))
			for i, s := range tt.want {
				want[i] = strings.ReplaceAll(s, "\n", "\r\n")
			}
			if diff := cmp.Diff(want, outline(crlf(tt.raw))); diff != "" {
				t.Errorf("the same with CRLF (-want +got):\n%s", diff)
			}
		})
	}
}

// checkParts fails unless offsets are in order and each part lies within its parent's body.
func checkParts(t *testing.T, raw []byte) {
	t.Helper()
	parts := Parts(raw)
	for i := range parts {
		p := &parts[i]
		if p.Start > p.Body || p.Body > p.End || p.End > len(raw) || p.Start < 0 {
			t.Fatalf("part %d of %q: start %d, body %d, end %d", i, raw, p.Start, p.Body, p.End)
		}
		if i == 0 {
			if p.Parent != -1 || p.Start != 0 || p.End != len(raw) {
				t.Fatalf("part 0 is not the message: %+v", p)
			}
			continue
		}
		if p.Parent < 0 || p.Parent >= i {
			t.Fatalf("part %d has parent %d", i, p.Parent)
		}
		if up := parts[p.Parent]; up.Leaf || p.Start < up.Body || p.End > up.End {
			t.Fatalf("part %d (%d-%d) of %q is not within the body of part %d (%d-%d)", i, p.Start, p.End, raw, p.Parent, up.Body, up.End)
		}
		p.Decoded()
		p.Filename()
	}
	altered, skipped := SkipAttachments(nil, raw, 1)
	if len(skipped) == 0 && !bytes.Equal(altered, raw) {
		t.Fatalf("SkipAttachments(%q) altered it and does not say so", raw)
	}
	if _, again := SkipAttachments(nil, altered, 1); len(again) > 0 && !sameCount(skipped, again) {
		t.Fatalf("SkipAttachments left %d attachments in %q", len(again), raw)
	}
}

// sameCount excuses a message whose placeholders are taken for attachments again: one that stands
// behind the last part that is told apart.
func sameCount(a, b []Skipped) bool { return len(a) >= maxParts/2 && len(b) > 0 }

func TestPartsSamples(t *testing.T) {
	eachSample(t, func(_ string, raw []byte) { checkParts(t, raw) })
}

func FuzzParts(f *testing.F) {
	f.Add(withAttachment(1, 100))
	f.Add(deep(70))
	f.Add([]byte("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: image/png; name*0*=utf-8''%41; name*1=\"b\"\nContent-Transfer-Encoding: base64\n\nQQ\n--b--"))
	f.Fuzz(checkParts)
}

// Parts without number are not all told apart, and are still within bounds.
func TestPartsMany(t *testing.T) {
	raw := append([]byte("Content-Type: multipart/mixed; boundary=b\n\n"), bytes.Repeat([]byte("--b\n\n"), 100_000)...)
	checkParts(t, raw)
	if n := len(Parts(raw)); n != maxParts {
		t.Errorf("%d parts, want %d", n, maxParts)
	}
}

func TestFilename(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{`attachment; filename=a.pdf`, "a.pdf"},
		{`attachment; filename="a \"b\".pdf"`, `a "b".pdf`},
		{`attachment; FileName = "a.pdf" ; size=3`, "a.pdf"},
		{`attachment; filename="=?utf-8?Q?=C3=A4.pdf?="`, "ä.pdf"},
		{`attachment; filename*=utf-8'de'%C3%A4.pdf`, "ä.pdf"},
		{`attachment; filename*=iso-8859-1''%E4.pdf; filename=x`, "ä.pdf"},
		{`attachment; filename*0*=utf-8''%C3; filename*1*=%A4; filename*2=".p%df"`, "ä.p%df"},
		{`attachment; filename*0="long"; filename*1="name.pdf"`, "longname.pdf"},
		{`attachment; x="; filename=no"; filename=yes`, "yes"},
		{`attachment; filename="no end`, "no end"},
		{`attachment; filename`, ""},
		{`attachment`, ""},
	} {
		p := Parts([]byte("Content-Disposition: " + tt.in + "\n\n"))[0]
		if got := p.Filename(); got != tt.want {
			t.Errorf("Filename of %q = %q, want %q", tt.in, got, tt.want)
		}
	}
}

func TestDecoded(t *testing.T) {
	for _, tt := range []struct{ encoding, in, want string }{
		{"base64", "QUJD\r\nREVG\r\n", "ABCDEF"},
		{"BASE64", "QUI=QUI=", "ABAB"},
		{"base64", "QUJD-junk!", "ABC\x8e\xe9\xe4"},
		{"base64", "QUI", "AB"},
		{"quoted-printable", "a=3Db=\r\nc \t\r\nd=XX=", "a=bc\r\nd=XX"},
		{"8bit", "=3D", "=3D"},
		{"x-uuencode", "=3D", "=3D"},
	} {
		raw := []byte("Content-Transfer-Encoding: " + tt.encoding + "\n\n" + tt.in)
		if got := string(Parts(raw)[0].Decoded()); got != tt.want {
			t.Errorf("%s %q decodes to %q, want %q", tt.encoding, tt.in, got, tt.want)
		}
	}
}

func TestIsAttachment(t *testing.T) {
	for _, tt := range []struct {
		around, fields string
		want           bool
	}{
		{"mixed", "", false},
		{"mixed", "Content-Type: text/html\n", false},
		{"mixed", "Content-Type: text/csv\nContent-Disposition: ATTACHMENT; filename=x\n", true},
		{"mixed", "Content-Type: application/pdf\n", true},
		{"mixed", "Content-Type: image/png\nContent-Disposition: inline\nContent-ID: <a>\n", true},
		{"related", "Content-Type: image/png\nContent-ID: <a>\n", false},
		{"related", "Content-Type: image/png\n", true},
		{"signed", "Content-Type: application/pgp-signature; name=x.asc\n", false},
		{"encrypted", "Content-Type: application/octet-stream\nContent-Disposition: attachment\n", false},
		{"mixed", "Content-Type: application/pkcs7-mime; name=smime.p7m\nContent-Disposition: attachment\n", false},
		{"report", "Content-Type: message/delivery-status\n", false},
		{"mixed", "Content-Type: message/rfc822\nContent-Disposition: attachment\n", true},
	} {
		raw := fmt.Sprintf("Content-Type: multipart/%s; boundary=b\n\n--b\n%s\nx\n--b--", tt.around, tt.fields)
		if got := HasAttachment([]byte(raw)); got != tt.want {
			t.Errorf("HasAttachment of %s in %s = %v, want %v", tt.fields, tt.around, got, tt.want)
		}
	}
}

// A left out attachment is named, sized and hashed; every other octet stays.
func TestSkipAttachments(t *testing.T) {
	content := bytes.Repeat([]byte("attachment "), 1000)
	sum := sha256.Sum256(content)
	const mail = "Subject: x\nContent-Type: multipart/mixed; boundary=b\n\npre\x00\n--b\n\ntext\n--b\n%s\n--b--\npost \n"
	raw := crlf(fmt.Sprintf(mail, "X-A: 1\nContent-Type: application/pdf;\n name=\"ä.pdf\"\nContent-Transfer-Encoding: base64\n\n"+base64.StdEncoding.EncodeToString(content)))
	want := crlf(fmt.Sprintf(mail, "X-A: 1\nX-Skipped-Content-Type: application/pdf;\n name=\"ä.pdf\"\nX-Skipped-Content-Transfer-Encoding: base64\n"+
		"Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n[This attachment was not kept]\nName: ä.pdf\nType: application/pdf\nSize: 11000\nSHA-256: "+hex.EncodeToString(sum[:])))
	got, skipped := SkipAttachments([]byte("before"), raw, 5000)
	if diff := cmp.Diff("before"+string(want), string(got)); diff != "" {
		t.Errorf("SkipAttachments (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Skipped{{"ä.pdf", "application/pdf", 11000, sum}}, skipped); diff != "" {
		t.Errorf("skipped (-want +got):\n%s", diff)
	}
	if got, skipped := SkipAttachments(nil, raw, 50_000); len(skipped) > 0 || !bytes.Equal(got, raw) {
		t.Errorf("a small attachment was left out")
	}
	whole := []byte("Content-Type: application/pdf\nSubject: x\n\nPDF\n")
	got, skipped = SkipAttachments(nil, whole, 0)
	if len(skipped) != 1 || !strings.HasPrefix(string(got), "X-Skipped-Content-Type: application/pdf\nSubject: x\nContent-Type: text/plain") || !strings.HasSuffix(string(got), "\n") {
		t.Errorf("a message that is an attachment: %q", got)
	}
}

func BenchmarkParts(b *testing.B) {
	raw := withAttachment(1, 100_000)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		Parts(raw)
	}
}
