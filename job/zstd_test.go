package job

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/zstd"

	"roost/mail"
)

// A Maildir whose messages are compressed by zstd is read without being asked for.
func TestCompressedMaildir(t *testing.T) {
	const want = "Subject: x\n\nText.\n"
	dir := t.TempDir()
	encoder, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "cur", "1.M1P1.host,S=18:2,S"), encoder.EncodeAll([]byte(want), nil), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := environment(t, "").OpenStore(t.Context(), &Account{Name: "alice", Store: "maildir:" + dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for f, err := range s.Fetch(t.Context(), mail.Inbox, []mail.Key{"1.M1P1.host,S=18"}, mail.Whole) {
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(f.Body); err != nil || string(got) != want {
			t.Errorf("Fetch yields %q, %v, want %q", got, err, want)
		}
	}
}
