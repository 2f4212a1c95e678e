package message

import (
	"strings"
	"testing"
)

// The text of a message is found whatever charset, transfer encoding and form its parts are in.
func TestWordingOf(t *testing.T) {
	raw := strings.ReplaceAll(`From: a@example.org
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=iso-8859-2
Content-Transfer-Encoding: quoted-printable

=A3=F3d=BC, soft bro=
ken
--b
Content-Type: text/plain; charset="koi8-r"
Content-Transfer-Encoding: base64

8/7l9A==
--b
Content-Type: text/html; charset=utf-8

<style>hidden{}</style><p title="no > text">In<b>voice</b> &uuml;ber<br>next&nbsp;line</p><!-- secret --><script>code</script> 1 < 2
--b
Content-Type: application/pdf; name*=utf-8''Rechnung%20M%C3%A4rz.pdf
Content-Disposition: attachment; filename="=?utf-8?Q?Rechnung_M=C3=A4rz.pdf?="
Content-Transfer-Encoding: base64

aGlkZGVu
--b
Content-Type: message/rfc822

Subject: =?gb2312?B?t6LGsQ==?=

Forwarded text
--b--
`, "\n", "\r\n")
	text := WordingOf([]byte(raw))
	for _, want := range []string{"lodz", "soft broken", "счет", "invoice uber", "next line", "发票", "forwarded text", "1 2"} {
		if !text.Body.Contain(WordsOf(want), false) {
			t.Errorf("%q is not in the body %q", want, text.Body)
		}
	}
	for _, no := range []string{"hidden", "secret", "code", "title", "rechnung"} {
		if text.Body.Contain(WordsOf(no), false) {
			t.Errorf("%q is in the body %q", no, text.Body)
		}
	}
	if !text.Filenames.Contain(WordsOf("rechnung marz.pdf"), false) || !text.Attachment {
		t.Errorf("file names %q, attachment %v", text.Filenames, text.Attachment)
	}
}

// Broken HTML is read to its end.
func FuzzWordingOf(f *testing.F) {
	for _, s := range []string{"<", "</", "<a", "<script>", "<!--", "<a href='>x", "&#x110000;&lt", "<style></sty</style>x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, markup string) {
		WordingOf([]byte("Content-Type: text/html\n\n" + markup))
	})
}
