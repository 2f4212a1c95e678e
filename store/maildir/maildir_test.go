package maildir

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"roost/mail"
	"roost/message"
	"roost/store/storetest"
)

// Every layout keeps the contract, with UIDs and without.
func TestStore(t *testing.T) {
	for _, c := range []struct {
		name     string
		options  Options
		numbered bool
	}{
		{"Maildir++", Options{}, false},
		{"Maildir++ with uidlist", Options{}, true},
		{"Maildir++ in UTF-8", Options{UTF8: true}, false},
		{"Maildir++ with LF line ends", Options{LF: true}, false},
		{"a directory a level", Options{FS: true}, false},
		{"a directory a level with uidlist", Options{FS: true}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			testStore(t, c.options, c.numbered)
		})
	}
}

func testStore(t *testing.T, options Options, numbered bool) {
	options.NoSync = true
	open := func(t *testing.T, dir string) mail.Store {
		s := openStore(t, dir, options)
		if numbered {
			return alwaysNumbers{s}
		}
		return s
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
			return open(t, path)
		},
		Settle: settle,
		Stored: func(raw []byte) []byte {
			if options.LF {
				return message.AppendLF(nil, raw)
			}
			return raw
		},
		RefusesName: func(name mail.Name) bool {
			for dir := range strings.SplitSeq(options.dirOf(name), "/") {
				if len(dir) > 255 {
					return true
				}
			}
			return false
		},
		LosesFlag: func(flag string) bool {
			return flag == `\X-Unknown` || flag == "Schlüssel"
		},
	})
}

func openStore(t testing.TB, dir string, options Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), dir, options)
	if err != nil {
		t.Fatalf("Open(%s) = %v, want nil", dir, err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// alwaysNumbers makes each new mailbox one with a uidlist, as Dovecot would.
type alwaysNumbers struct{ *Store }

func (s alwaysNumbers) Create(ctx context.Context, name mail.Name) error {
	if err := s.Store.Create(ctx, name); err != nil {
		return err
	}
	validity := uint32(time.Now().UnixNano() >> 10)
	return s.Store.Number(ctx, name, validity, 1)
}

// settle makes everything that was done look as done long ago, each time a
// second later than the time before.
func settle(t *testing.T, s mail.Store) {
	t.Helper()
	settleTree(t, strings.TrimPrefix(s.(mail.Identifier).Identity(), "maildir:"))
}

// settleTree does so in a whole tree.
func settleTree(t *testing.T, root string) {
	t.Helper()
	// The store's own marker of how often it was settled.
	marker := filepath.Join(root, ".settled")
	when := time.Now().Add(-24 * time.Hour)
	if info, err := os.Stat(marker); err == nil {
		when = info.ModTime().Add(time.Second)
	}
	if err := os.WriteFile(marker, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && (name == "cur" || name == "new") {
			info, err := d.Info()
			if err != nil || time.Since(info.ModTime()) > time.Hour {
				return err
			}
		} else if name != uidlistFile && name != keywordsFile && name != ".settled" {
			return nil
		}
		return os.Chtimes(path, when, when)
	})
	if err != nil {
		t.Fatal(err)
	}
}
