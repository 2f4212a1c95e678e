package mbox

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"roost/mail"
)

// The key of a message stays with its bytes: what goes before it, comes behind it, or has the same header, does not make
// it the key of others. It stays when a program notes its state in the header.
func TestKeyStaysWithItsBytes(t *testing.T) {
	const from = "From alice@example.com Tue Dec 13 14:15:16 2011\n"
	long := strings.Repeat("x", 300<<10)
	for name, twin := range map[string]func(text string) string{
		"one header":    func(text string) string { return from + "Subject: twins\n\n" + text + "\n\n" },
		"no header":     func(text string) string { return from + "\n" + text + "\n\n" },
		"one long line": func(text string) string { return from + "Subject: twins\n\n" + long + text + "\n\n" },
		"a long header": func(text string) string { return from + "Subject: " + long + text + "\n\nx\n\n" },
		"empty lines":   func(text string) string { return from + "Subject: twins\n\n\n\n" + text + "\n\n" },
		"mboxcl2": func(text string) string {
			return fmt.Sprintf("%sSubject: twins\nContent-Length: %d\n\n%s\n\n", from, len(text)+1, text)
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := file(t, twin("first!")+twin("second"))
			s := open(t, path, Options{})
			keys := func() (keys []mail.Key) {
				ch, err := s.Changes(t.Context(), mail.Inbox, "")
				if err != nil {
					t.Fatal(err)
				}
				for _, m := range ch.Messages {
					keys = append(keys, m.Key)
				}
				return keys
			}
			write := func(text string) {
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				s.forget()
			}
			both := keys()
			if len(both) != 2 || both[0] == both[1] {
				t.Fatalf("the keys are %q, want two", both)
			}
			for what, text := range map[string]string{
				"without the first":        twin("second"),
				"read":                     strings.Replace(twin("second"), from, from+"Status: RO\n", 1),
				"without its last newline": strings.TrimSuffix(twin("second"), "\n"),
			} {
				write(text)
				if got := keys(); !slices.Equal(got, both[1:]) {
					t.Errorf("%s: the keys are %q, want %q", what, got, both[1:])
				}
			}
			write(twin("second") + twin("third!"))
			if got := keys(); len(got) != 2 || got[0] != both[1] || got[1] == both[0] {
				t.Errorf("with a third behind: the keys are %q, want %q and a new one", got, both[1])
			}
			for f, err := range s.Fetch(t.Context(), mail.Inbox, both[:1], mail.Whole) {
				if !errors.Is(err, mail.ErrGone) {
					t.Errorf("the key of the first yields %q, %v; want %v", f.Key, err, mail.ErrGone)
				}
			}
		})
	}
}
