package imap_test

import (
	"bytes"
	"testing"
	"time"

	"roost/mail"
	"roost/mailsync"
	"roost/plan"
	"roost/store/imap/imaptest"
	"roost/store/memory"
)

// A dry run of a restore sends a server no command that changes anything: mailboxes are examined, bodies peeked at.
func TestDryRunOnlyReads(t *testing.T) {
	source := memory.New(memory.Options{})
	for _, name := range []mail.Name{mail.Inbox, "new"} {
		if err := source.Create(t.Context(), name); err != nil && name != mail.Inbox {
			t.Fatal(err)
		}
		for i := range 8 { // of the INBOX, five are there
			raw := fiveBody(1 + i)
			m := mail.Message{Flags: mail.Flagged, InternalDate: time.Unix(1_700_000_000, 0), Size: int64(len(raw))}
			if _, err := source.Append(t.Context(), name, m, bytes.NewReader(raw)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, capabilities := range map[string][]string{"everything": imaptest.Everything(), "bare": imaptest.Bare()} {
		for _, collisions := range []plan.Collisions{plan.Skip, plan.Copy, plan.Replace} {
			server, o := fake(t, five(), imaptest.Dialect{Capabilities: capabilities})
			report, err := mailsync.Restore(t.Context(), source, open(t, o),
				mailsync.Options{InPlace: true, KeepUIDs: true, DryRun: true, Collisions: collisions})
			if err != nil || len(report.Steps) == 0 || !report.Ledger.Complete() {
				t.Errorf("%s, collisions %v: Restore = %d steps, complete %v, %v", name, collisions, len(report.Steps), report.Ledger.Complete(), err)
			}
			if server.Count("EXAMINE") == 0 {
				t.Errorf("%s, collisions %v: no mailbox was looked at", name, collisions)
			}
			server.CheckReading(t)
		}
	}
}
