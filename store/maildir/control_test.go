package maildir

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roost/mail"
	"roost/peer"
	"roost/store/storetest"
)

// Where Dovecot has its control files elsewhere, both sides still say the same.
func TestDovecotControl(t *testing.T) {
	for _, tt := range []struct {
		name, layout string
		fs           bool
	}{{"Maildir++", "", false}, {"a directory a level", ":LAYOUT=fs", true}} {
		t.Run(tt.name, func(t *testing.T) {
			d := startDovecot(t, peer.DovecotOptions{Extra: "mail_location = maildir:~/Maildir" + tt.layout + ":CONTROL=~/control:INDEX=~/index\n"}, Options{})
			d.append("INBOX", `\Seen Theirs`, mailText("one"))
			d.imap("CREATE a/b")
			d.append("a/b", "Work", mailText("two"))
			d.imap("SUBSCRIBE a/b")
			control := filepath.Join(d.Home("alice"), "control")
			d.store = openStore(t, d.Mail("alice"), Options{FS: tt.fs, Control: control})
			d.wantSame("INBOX", mail.Inbox, 1, "APPEND")
			d.wantSame("a/b", "a/b", 1, "APPEND")
			raw := mailText("three")
			for _, name := range []mail.Name{mail.Inbox, "a/b"} {
				_, err := d.store.Append(t.Context(), name, mail.Message{Flags: "Ours", Size: int64(len(raw))}, bytes.NewReader(raw))
				d.must("Append", err)
				d.wantSame(string(name), name, 2, "our Append")
			}
			d.must("Subscribe", d.store.Subscribe(t.Context(), mail.Inbox, true))
			d.sameMailboxes()
			d.must("Rename", d.store.Rename(t.Context(), "a/b", "c"))
			d.wantSame("c", "c", 2, "our Rename")
			d.must("Delete", d.store.Delete(t.Context(), "c"))
			err := filepath.WalkDir(d.Mail("alice"), func(path string, _ os.DirEntry, err error) error {
				if strings.HasPrefix(filepath.Base(path), uidlistFile) {
					t.Errorf("%s stands beside the mail", path)
				}
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

// A store with its control files elsewhere keeps the contract.
func TestStoreWithControl(t *testing.T) {
	open := func(t *testing.T, dir string) mail.Store {
		return alwaysNumbers{openStore(t, filepath.Join(dir, "mail"), Options{Control: filepath.Join(dir, "control"), Make: true, NoSync: true})}
	}
	storetest.Run(t, func(t *testing.T) mail.Store {
		s := open(t, t.TempDir())
		if err := s.Create(t.Context(), mail.Inbox); err != nil {
			t.Fatal(err)
		}
		return s
	}, storetest.Options{
		Reopen: func(t *testing.T, s mail.Store) mail.Store {
			path := strings.TrimPrefix(s.(mail.Identifier).Identity(), "maildir:")
			if err := s.Close(); err != nil {
				t.Errorf("Close() = %v, want nil", err)
			}
			return open(t, filepath.Dir(path))
		},
		Settle: func(t *testing.T, s mail.Store) {
			settleTree(t, filepath.Dir(strings.TrimPrefix(s.(mail.Identifier).Identity(), "maildir:")))
		},
		RefusesName: func(name mail.Name) bool { return len(Options{}.dirOf(name)) > 255 },
		LosesFlag:   func(flag string) bool { return flag == `\X-Unknown` || flag == "Schlüssel" },
	})
	if _, err := Open(t.Context(), t.TempDir(), Options{Control: filepath.Join(t.TempDir(), "nowhere")}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Open with a control directory that is not there = %v, want %v", err, os.ErrNotExist)
	}
}
