package job

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roost/mail"
	"roost/mailsync"
	"roost/query"
)

// oddMail are messages whose header ends where readers of mail disagree, or nowhere.
var oddMail = map[string]string{
	"an old Macintosh":         "From: a@example.org\rSubject: old mac\rDate: Mon, 02 Mar 2026 10:00:00 +0000\r\rHello\r",
	"CRs at the end":           "a\r\r\r",
	"CRs in the body":          "Subject: a\n\nHello\r\rBye\r",
	"CRs in the header":        "Subject: a\r\rTo: b\n\nHello\n",
	"CR CR LF for empty lines": "Subject: a\r\r\n\r\r\nHello\r\r\n",
	"no empty line":            "Subject: a\nTo: b\n",
	"no line end":              "Subject: a",
	"an empty line only":       "\n",
	"a CR only":                "\r",
	"no header":                "\nSubject: a\n",
	"mixed line ends":          "Subject: a\nTo: b\r\n\nHello\r\n",
}

// A header that is longer than any buffer: the message is recognised all the same.
const hugeHeader = 20 << 20

// A restore that is run again adds nothing, whatever the messages are like and wherever they go.
func TestRestoreAgain(t *testing.T) {
	w := newWorld(t)
	box := mail.Inbox
	for name, text := range oddMail {
		w.appendText(box, name, text)
	}
	if !testing.Short() {
		w.appendText(box, "an endless line", strings.Repeat("x", hugeHeader))
	}
	sn := w.backup("alice")
	held, _ := sn.Totals()
	for _, driver := range []string{"maildir", "eml", "mbox"} {
		t.Run(driver, func(t *testing.T) {
			to := fmt.Sprintf("%s:%s", driver, filepath.Join(t.TempDir(), "store"))
			for run, want := range []int64{held, 0, 0} {
				var placed []string
				o := RestoreOptions{To: to, InPlace: true, Placed: func(p mailsync.Placed) {
					if !p.Known {
						placed = append(placed, string(p.Key))
					}
				}}
				report, err := w.env.Restore(t.Context(), w.repo, sn, o)
				if err != nil {
					t.Fatal(err)
				}
				if sum := report.Ledger.Total(); sum.New != want || sum.Held != held || len(report.Ledger.Problems()) > 0 {
					t.Errorf("restore %d: %d new, %d held, problems %v, new are %q; want %d new, %d held", run+1, sum.New, sum.Held,
						report.Ledger.Problems(), placed, want, held)
				}
			}
		})
	}
}

// A mailbox or message that is asked for by name and is not there is told of, with the newest snapshot that holds it, and
// nothing is made at the destination.
func TestRestoreMissing(t *testing.T) {
	w := newWorld(t)
	if err := w.store.Create(t.Context(), "Old"); err != nil {
		t.Fatal(err)
	}
	w.append("INBOX", "stays")
	lost := w.append("INBOX", "expunged")
	w.append("Old", "went with its mailbox")
	w.backup("alice")
	second := w.backup("alice")
	if err := w.store.Expunge(t.Context(), "INBOX", []mail.Key{lost}); err != nil {
		t.Fatal(err)
	}
	if err := w.store.Delete(t.Context(), "Old"); err != nil {
		t.Fatal(err)
	}
	last := w.backup("alice")
	w.backup("bob")
	inbox := query.Selection{Folders: []string{"INBOX"}}
	for _, tt := range []struct {
		name    string
		sel     query.Selection
		keys    []mail.Key
		missing bool
		held    *Snapshot
	}{
		{"a mailbox that was", query.Selection{Folders: []string{"INBOX", "Old"}}, nil, true, second},
		{"a mailbox that never was", query.Selection{Folders: []string{"No*"}}, nil, true, nil},
		{"a mailbox spelled otherwise", query.Selection{Folders: []string{"old"}}, nil, true, nil},
		{"a message that was", inbox, []mail.Key{"1", lost}, true, second},
		{"a message that never was", inbox, []mail.Key{"1", "99"}, true, nil},
		{"no key at all", inbox, []mail.Key{"../x"}, true, nil},
		{"all there", inbox, []mail.Key{"1"}, false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			_, err := w.env.Restore(t.Context(), w.repo, last, RestoreOptions{To: "eml:" + dir, Select: tt.sel, Keys: tt.keys, InPlace: true})
			var m *Missing
			if errors.As(err, &m) != tt.missing || !tt.missing && err != nil {
				t.Fatalf("Restore = %v, want missing %v", err, tt.missing)
			}
			if !tt.missing {
				return
			}
			if (m.Held == nil) != (tt.held == nil) || m.Held != nil && m.Held.ID != tt.held.ID {
				t.Errorf("%v: held by %v, want %v", m, m.Held, tt.held)
			}
			if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("the destination was made: %v", err)
			}
		})
	}
}

func (w *world) appendText(name mail.Name, what, text string) {
	w.Helper()
	if _, err := w.store.Append(w.Context(), name, mail.Message{InternalDate: w.now, Size: int64(len(text))}, bytes.NewReader([]byte(text))); err != nil {
		w.Fatalf("append %s: %v", what, err)
	}
}
