package maildir

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roost/mail"
)

const traced = "ROOST_TRACED_MAILDIR" // in the environment of a test that another one traces

// What it costs to ask a mailbox whether it changed is three names that are looked up and one list of
// UIDs that is opened, beside its own directory; see state.
func TestUnchangedCosts(t *testing.T) {
	if dir := os.Getenv(traced); dir != "" {
		list, err := openStore(t, dir, Options{}).Mailboxes(t.Context())
		if err != nil || len(list) < 2 || list[1].Token == "" || list[1].UIDValidity == 0 {
			t.Fatalf("Mailboxes() = %+v, %v", list, err)
		}
		return
	}
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("strace is not there")
	}
	const few, many = 10, 50
	a, b := calls(t, strace, few), calls(t, strace, many)
	for call, want := range map[string]int{"newfstatat": 3, "openat": 3, "fstat": 1, "getdents64": 0, "statx": 0} {
		if got := (b[call] - a[call]) / (many - few); got > want {
			t.Errorf("%s is called %d times a mailbox, want %d at most", call, got, want)
		}
	}
	if b["newfstatat"] < 3*many {
		t.Errorf("newfstatat was seen %d times, so nothing was traced", b["newfstatat"])
	}
}

// calls counts the calls to the system of listing n mailboxes.
func calls(t *testing.T, strace string, n int) map[string]int {
	t.Helper()
	dir := t.TempDir()
	s := openStore(t, dir, Options{NoSync: true})
	then := time.Now().Add(-time.Hour)
	for i := range n {
		name := mail.Name(fmt.Sprint("box", i))
		if err := s.Create(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		if err := s.Number(t.Context(), name, 7, 1); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{"cur", "new", uidlistFile} {
			if err := os.Chtimes(filepath.Join(dir, "."+string(name), file), then, then); err != nil {
				t.Fatal(err)
			}
		}
	}
	out := filepath.Join(t.TempDir(), "trace")
	cmd := exec.CommandContext(t.Context(), strace, "-f", "-qq", "-o", out, "-e", "trace=newfstatat,statx,fstat,openat,getdents64",
		os.Args[0], "-test.run=^TestUnchangedCosts$")
	cmd.Env = append(os.Environ(), traced+"="+dir)
	if said, err := cmd.CombinedOutput(); err != nil {
		if strings.Contains(string(said), "ptrace") {
			t.Skipf("strace may not trace: %s", said)
		}
		t.Fatalf("%v: %s", err, said)
	}
	raw, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]int)
	for line := range strings.Lines(string(raw)) {
		_, call, _ := strings.Cut(line, " ")
		call, _, _ = strings.Cut(strings.TrimLeft(call, " "), "(")
		seen[call]++
	}
	return seen
}

// What Dovecot writes long after cur changed makes the token another: UIDs for files that were there,
// another UIDVALIDITY, the name of a keyword. Nothing else does.
func TestTokenTellsWhatCurDoesNot(t *testing.T) {
	dir := t.TempDir()
	putFile(t, filepath.Join(dir, "cur", "1.host:2,a"), "Subject: x\n\n")
	s := openStore(t, dir, Options{})
	hour := 48
	old := func(file string) {
		t.Helper()
		hour--
		then := time.Now().Add(-time.Duration(hour) * time.Hour)
		if err := os.Chtimes(filepath.Join(dir, file), then, then); err != nil {
			t.Fatal(err)
		}
	}
	old("cur")
	for _, step := range []struct{ what, file, text string }{
		{"a UID", uidlistFile, "3 V7 N2\n1 :1.host\n"},
		{"another UIDVALIDITY", uidlistFile, "3 V8 N2\n1 :1.host\n"},
		{"a keyword", keywordsFile, "0 Work\n"},
		{"another keyword", keywordsFile, "0 Play\n"},
		{"an index", "dovecot.index.log", "x"},
	} {
		before, err := s.Changes(t.Context(), mail.Inbox, "")
		if err != nil {
			t.Fatal(err)
		}
		putFile(t, filepath.Join(dir, step.file), step.text)
		old(step.file)
		after, err := s.Changes(t.Context(), mail.Inbox, before.Token)
		if want := step.what != "an index"; err != nil || after.Full != want {
			t.Errorf("after %s was written, Full is %v, %v, want %v", step.what, after.Full, err, want)
		}
	}
}
