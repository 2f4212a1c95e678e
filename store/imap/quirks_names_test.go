package imap_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"roost/mail"
	"roost/store/imap/imaptest"
)

// Mailboxes with names of every kind are listed, each by a name of its own, and can be read by it. Rows.
func TestNamesOfMailboxes(t *testing.T) {
	account := imaptest.NewAccount()
	raws := map[string]mail.Name{
		"INBOX":                  "INBOX",
		"Entw&APw-rfe":           "Entwürfe",
		"&AOQ":                   "&AOQ",         // no modified UTF-7: no end
		"&AGE-":                  "&AGE-",        // encodes what needs none
		"a&-b":                   "a&b",          // the ampersand
		"&2D3cEw-":               "🐓",            // beyond the BMP
		"Gr\xc3\xbc":             "Grü",          // raw UTF-8
		"\xff":                   "%FF",          // no UTF-8
		"a.b/c":                  "a.b/c",        // the separator of others
		"NIL":                    "NIL",          // an atom that is something else elsewhere
		"with \"quote":           "with \"quote", // sent as a quoted string or literal
		strings.Repeat("n", 300): mail.Name(strings.Repeat("n", 300)),
	}
	for raw := range raws {
		account.Create(raw).Append(imaptest.Message{Body: []byte("Subject: " + fmt.Sprintf("%q", raw) + "\r\n\r\n")})
	}
	for _, capabilities := range [][]string{imaptest.Everything(), imaptest.Bare()} {
		_, o := fake(t, account, imaptest.Dialect{Capabilities: capabilities})
		s := open(t, o)
		boxes, err := s.Mailboxes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]mail.Name{}
		for _, b := range boxes {
			got[b.Raw] = b.Name
			if b.Count != 1 {
				t.Errorf("%q holds %d messages, want 1", b.Name, b.Count)
			}
			for f, err := range s.Fetch(t.Context(), b.Name, []mail.Key{"1"}, mail.Whole) {
				if err != nil {
					t.Errorf("Fetch(%q) = %v, want nil", b.Name, err)
					continue
				}
				if body, _ := io.ReadAll(f.Body); !strings.Contains(string(body), fmt.Sprintf("%q", b.Raw)) {
					t.Errorf("%q holds %q, want the message of %q", b.Name, body, b.Raw)
				}
			}
		}
		if diff := cmp.Diff(raws, got); diff != "" {
			t.Errorf("names (-want +got):\n%s", diff)
		}
	}
}

// A server without levels, or with mailboxes that hold none but others, is listed as it is. Row X-13.
func TestLevels(t *testing.T) {
	account := imaptest.NewAccount()
	account.Create("INBOX")
	account.Create("top", `\Noselect`)
	account.Create("top/below")
	account.Create("flat/name").Separator = "NIL"
	_, o := fake(t, account, imaptest.Dialect{})
	boxes, err := open(t, o).Mailboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[mail.Name]bool{}
	for _, b := range boxes {
		got[b.Name] = b.NoSelect
	}
	want := map[mail.Name]bool{"INBOX": false, "top": true, "top/below": false, "flat%2Fname": false}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mailboxes and whether they hold no messages (-want +got):\n%s", diff)
	}
}

// A mailbox that is listed and may not be read is listed with its error, and the others are read. Row X-21.
func TestDeniedMailbox(t *testing.T) {
	account := five()
	account.Create("secret")
	denied := func(s *imaptest.Session, c imaptest.Command) bool {
		if (c.Name == "STATUS" || c.Name == "EXAMINE" || c.Name == "SELECT") && strings.Contains(c.Text, "secret") {
			s.Tagged(c, "NO [NOPERM] not yours")
			return true
		}
		return false
	}
	_, o := fake(t, account, imaptest.Dialect{
		Capabilities: imaptest.Without(imaptest.Everything(), "LIST-STATUS"), Answers: []imaptest.Answer{denied},
	})
	s := open(t, o)
	boxes, err := s.Mailboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range boxes {
		if (b.Name == "secret") != errors.Is(b.Err, mail.ErrDenied) {
			t.Errorf("%q has error %v", b.Name, b.Err)
		}
	}
	if _, err := s.Changes(t.Context(), "secret", ""); !errors.Is(err, mail.ErrDenied) {
		t.Errorf("Changes(secret) = %v, want %v", err, mail.ErrDenied)
	}
	if got, _ := readAll(t, s); len(got.Bodies) != 5 {
		t.Errorf("%d messages of INBOX are read, want 5", len(got.Bodies))
	}
}
