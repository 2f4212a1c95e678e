package store

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roost/imap"
)

func TestParse(t *testing.T) {
	tests := []struct {
		text string
		want Location
	}{
		{"memory:", Location{Driver: "memory"}},
		{"maildir:/var/mail/alice", Location{Driver: "maildir", Path: "/var/mail/alice"}},
		{"maildir:a:b:LAYOUT=fs", Location{Driver: "maildir", Path: "a:b", Layout: "fs"}},
		{"maildir:a:LAYOUT=Maildir++", Location{Driver: "maildir", Path: "a"}},
		{"maildir:a:LAYOUT=fs:UTF-8", Location{Driver: "maildir", Path: "a", Layout: "fs", UTF8: true}},
		{"maildir:a:CONTROL=/c:LAYOUT=fs:INDEX=/i", Location{Driver: "maildir", Path: "a", Layout: "fs", Control: "/c"}},
		{"mbox:/tmp/a:LAYOUT=fs", Location{Driver: "mbox", Path: "/tmp/a:LAYOUT=fs"}},
		{"imaps://mail.example.com", Location{Driver: "imap", Host: "mail.example.com", Port: 993}},
		{"imap://alice%40example.com@[::1]:1143?tls=none&timeout=90s&master=admin", Location{
			Driver: "imap", Host: "::1", Port: 1143, User: "alice@example.com", Security: imap.Plaintext, Timeout: 90 * time.Second,
			Options: map[string]string{"tls": "none", "timeout": "90s", "master": "admin"}}},
		{"imap://alice@mail.example.com/", Location{Driver: "imap", Host: "mail.example.com", Port: 143, User: "alice", Security: imap.StartTLS}},
	}
	for _, tt := range tests {
		got, err := Parse(tt.text)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.text, err)
			continue
		}
		if got.Driver == "imap" && tt.want.Options == nil {
			tt.want.Options = map[string]string{}
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("Parse(%q) (-want +got):\n%s", tt.text, diff)
		}
	}
}

// A refusal says what is wrong, and never repeats what may be a password.
func TestParseRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                       "is no store",
		"/var/mail/alice":                        "is no store",
		"pop3://host":                            "no driver for \"pop3\"",
		"maildir:":                               "has no path",
		"maildir:a:LAYOUT=index":                 "layout \"index\"",
		"maildir:a:CONTROL=":                     "has no path",
		"eml:a\x00b":                             "NUL",
		"imaps:host":                             "has no host",
		"imaps://alice:s3cret@host":              "holds a password",
		"imaps://alice:s3%zz@host":               "is no URL",
		"imaps://alice:s3cret@host:port":         "is no URL",
		"imaps://host/INBOX":                     "names a mailbox",
		"imaps://host?colour=red":                "unknown option \"colour\"",
		"imaps://host?pin=a&pin=b":               "given twice",
		"imap://host?tls=none":                   "tls=none-really",
		"imaps://127.0.0.1?tls=none":             "imaps is TLS",
		"imaps://host?tls=maybe":                 "is unknown",
		"imaps:alice:s3cret@host":                "has no host",
		"imaps:s3cret@host":                      "has no host",
		"alice:s3cret@host":                      "no driver",
		"imaps://host?password=s3cret":           "unknown option \"password\"",
		"imaps://host?timeout=1&token=s3cret":    "unknown option \"token\"",
		"imaps://host?s3cret%zz":                 "not name=value",
		"imaps://alice:s3cret@host?password=s3c": "holds a password",
		"imaps://host?timeout=1":                 "no time",
		"imaps://host?pin=ab":                    "SHA-256",
		"imaps://host?shared=1":                  "neither yes nor no",
		"imaps://host?key=a":                     "without cert=",
		"imap://127.0.0.1?tls=none&cert=a":       "within TLS",
		"imaps://host:70000":                     "port",
		"imaps://host?compress=perhaps":          "neither yes nor no",
		"imaps://alice@example.com:s3cret@host/": "is no URL|password|port",
	} {
		got, err := Parse(text)
		if err == nil {
			t.Errorf("Parse(%q) = %+v, want an error", text, got)
			continue
		}
		found := false
		for one := range strings.SplitSeq(want, "|") {
			found = found || strings.Contains(err.Error(), one)
		}
		if !found || strings.Contains(err.Error(), "s3") {
			t.Errorf("Parse(%q): %v, want %q", text, err, want)
		}
	}
}

func TestWithUser(t *testing.T) {
	tests := []struct{ text, user, want string }{
		{"maildir:/var/mail/{user}", "alice", "maildir:/var/mail/alice"},
		{"maildir:/var/mail/{user}", "../bob", "maildir:/var/mail/..%2Fbob"},
		{"maildir:/var/mail/{user}", "..", "maildir:/var/mail/%2E%2E"},
		{"maildir:/var/mail/alice", "alice", "maildir:/var/mail/alice"},
		{"imaps://{user}@host?master=admin", "alice@example.com", "imaps://alice%40example.com@host?master=admin"},
		{"imaps://host?master=admin", "a:b", "imaps://a%3Ab@host?master=admin"},
		{"imaps://bob@host", "alice", "imaps://bob@host"},
	}
	for _, tt := range tests {
		if got := WithUser(tt.text, tt.user); got != tt.want {
			t.Errorf("WithUser(%q, %q) = %q, want %q", tt.text, tt.user, got, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"imaps://alice@host:993?pin=ab", "maildir:a:LAYOUT=fs", "imap://[::1]?tls=none", "memory:"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := Parse(text)
		if err == nil && l.Driver == "imap" && (l.Host == "" || l.Port < 1 || l.Port > 65535) {
			t.Fatalf("Parse(%q) = %+v", text, l)
		}
	})
}
