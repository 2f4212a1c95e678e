package job

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"roost/mail"
	"roost/mailsync"
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
				report, err := w.env.Restore(t.Context(), sn, o)
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

func (w *world) appendText(name mail.Name, what, text string) {
	w.Helper()
	if _, err := w.store.Append(w.Context(), name, mail.Message{InternalDate: w.now, Size: int64(len(text))}, bytes.NewReader([]byte(text))); err != nil {
		w.Fatalf("append %s: %v", what, err)
	}
}
