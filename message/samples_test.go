package message

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

// eachSample calls f with each file below the directory in ROOST_SAMPLES: public mail, good and
// broken. Without it the test is skipped.
func eachSample(t *testing.T, f func(name string, raw []byte)) {
	t.Helper()
	dir := os.Getenv("ROOST_SAMPLES")
	if dir == "" {
		t.Skip("ROOST_SAMPLES is not set")
	}
	n := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		n++
		f(path, raw)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n == 0 {
		t.Errorf("ROOST_SAMPLES=%s holds no files", dir)
	}
}

// crlf makes the line ends of a literal those of mail.
func crlf(s string) []byte { return bytes.ReplaceAll([]byte(s), []byte("\n"), []byte("\r\n")) }

// base64Body returns a body in base64 of at least n octets that seed determines, with CRLF.
func base64Body(seed uint64, n int) []byte {
	const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
	out := make([]byte, 0, n+80)
	for len(out) < n {
		for range 76 {
			seed = seed*6364136223846793005 + 1442695040888963407
			out = append(out, digits[seed>>58])
		}
		out = append(out, "\r\n"...)
	}
	return out
}

// withAttachment returns a message with a text and an attachment in base64 of about n octets.
func withAttachment(seed uint64, n int) []byte {
	out := crlf(`From: Alice <alice@example.com>
To: bob@example.com
Subject: report
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="=_b1"

--=_b1
Content-Type: text/plain

See the report.
--=_b1
Content-Type: application/pdf; name="report.pdf"
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename="report.pdf"

`)
	out = append(out, base64Body(seed, n)...)
	return append(out, "--=_b1--\r\n"...)
}
