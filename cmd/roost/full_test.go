package main

import (
	"strings"
	"testing"

	"roost/store/imap/imaptest"
)

// A server that changes flags without a new mod-sequence is believed, until
// --full asks for all.
func TestFull(t *testing.T) {
	account := imaptest.NewAccount()
	inbox := account.Create("INBOX")
	for _, subject := range []string{"one", "two"} {
		inbox.Append(imaptest.Message{Body: message1(subject)})
	}
	s := imaptest.Start(t, account, imaptest.Dialect{})
	r := newRoost(t)
	r.exits(exitOK, "backup", plain(s), "-q")
	inbox.SetFlagsUntold(2, `\Flagged`)
	for _, run := range []struct{ flag, want string }{
		{"--no-children", "(nothing changed)"}, {"--full", "(1 flag changed)"}, {"--full", "(nothing changed)"},
	} {
		r.exits(exitOK, "backup", plain(s), "-q", run.flag)
		if got := r.stdout.String(); !strings.HasSuffix(got, run.want+"\n") {
			t.Errorf("backup %s: %s, want %s", run.flag, got, run.want)
		}
	}
}
