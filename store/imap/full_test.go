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

// The identity is that of the account, by whichever port of IMAP it is read; other servers on one host are others.
func TestIdentity(t *testing.T) {
	identity := func(port int) string {
		return (&Store{options: Options{Host: "mail.example.com", Port: port, User: "alice"}}).Identity()
	}
	if a, b := identity(143), identity(993); a != b || a != "imap://alice@mail.example.com" {
		t.Errorf("Identity is %q by port 143 and %q by 993", a, b)
	}
	if a, b := identity(1143), identity(2143); a == b || a == identity(143) {
		t.Errorf("Identity is %q by port 1143 and %q by 2143", a, b)
	}
}
