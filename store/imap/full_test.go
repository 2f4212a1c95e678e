package imap

import "testing"

// The cap of 10,000 messages is Yahoo's and its kin's, and not that of their export host. Row YH-01.
func TestIsYahoo(t *testing.T) {
	for host, want := range map[string]bool{
		"imap.mail.yahoo.com": true, "imap.aol.com": true, "imap.mail.att.net": true, "yahoo.com": true,
		"export.imap.mail.yahoo.com": false, "imap.gmail.com": false, "notyahoo.com": false, "": false,
	} {
		if got := isYahoo(host); got != want {
			t.Errorf("isYahoo(%q) = %v, want %v", host, got, want)
		}
	}
}
