package backup

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"roost/mail"
	"roost/query"
	"roost/store/memory"
)

// withAttachment is a message whose attachment --skip-attachments leaves out.
func withAttachment(n int) string {
	return fmt.Sprintf("Subject: %d\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"+
		"--b\r\nContent-Type: text/plain\r\n\r\nSee below.\r\n"+
		"--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n%s\r\n--b--\r\n",
		n, strings.Repeat("QUJD", 50+n))
}

func fillAttachments(t *testing.T, s *memory.Store, n int) []mail.Key {
	t.Helper()
	var keys []mail.Key
	for i := range n {
		body := withAttachment(i)
		key, err := s.Append(t.Context(), mail.Inbox, mail.Message{Size: int64(len(body))}, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return keys
}

// TestSkippedAttachmentsComeWhenTheRuleGoes: a placeholder is no message. It stays
// only as long as the message cannot be read, and that is in the books.
func TestSkippedAttachmentsComeWhenTheRuleGoes(t *testing.T) {
	for name, o := range map[string]memory.Options{"delta": {}, "full lists": {FullOnly: true}, "no GUIDs": {NoGUID: true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testSkippedAttachments(t, newWorld(t, 1, o)) })
		})
	}
}

func testSkippedAttachments(t *testing.T, w *world) {
	keys := fillAttachments(t, w.store, 5)
	fill(t, w.store, mail.Inbox, 2)
	skip := Options{Selection: query.Selection{SkipAttachments: true}}
	for range 2 { // with the rule in force, placeholders are what is wanted
		report := w.backup(w.store, skip)
		if row := report.Ledger.Rows[0]; !report.Complete() || row.Held != 7 || row.Altered > 5 {
			t.Fatalf("with the rule: %+v", row)
		}
	}
	src := &counting{Source: w.store, refuse: map[mail.Key]error{keys[3]: errors.New("NO [UNAVAILABLE]")}}
	for _, fetched := range []int{5, 1} {
		src.fetched = 0
		report := w.backup(src, Options{})
		row := report.Ledger.Rows[0]
		if report.Complete() || row.Failed != 1 || row.Held != 6 || row.Balance() != nil || report.Messages != 7 || src.fetched != fetched {
			t.Errorf("without the rule, one refused: fetched %d, want %d; %d messages, %+v", src.fetched, fetched, report.Messages, row)
		}
		snap := w.open(report.Snapshot)
		if held := contents(t, snap)[mail.Inbox]; len(held) != 7 || !strings.Contains(held[3], "SHA-256") || strings.Contains(held[2], "SHA-256") || snap.Boxes()[0].Messages != 7 {
			t.Errorf("one refused: the placeholder is not what is held of it: %q", held)
		}
	}
	src.refuse = nil
	report := w.backup(src, Options{})
	if row := report.Ledger.Rows[0]; !report.Complete() || row.Held != 7 || report.Messages != 7 {
		t.Errorf("without the rule: %+v", row)
	}
	if d := cmp.Diff(contents(t, w.store), contents(t, w.open(report.Snapshot))); d != "" {
		t.Errorf("-store +snapshot:\n%s", d)
	}
	src.fetched = 0
	if report = w.backup(src, Options{Full: true}); src.fetched != 0 || report.Ledger.Rows[0].New != 0 {
		t.Errorf("once more: fetched %d, want 0", src.fetched)
	}
}
