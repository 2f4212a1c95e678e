package job

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"roost/backup"
	"roost/mail"
	"roost/repo"
	"roost/store/memory"
)

// world is an account in memory and a repository that it is backed up to.
type world struct {
	*testing.T
	env   *Env
	repo  *Repository
	store *memory.Store
	now   time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{T: t, env: environment(t, ""), store: memory.New(memory.Options{ID: "test"}), now: time.Date(2026, 3, 10, 12, 0, 0, 0, time.UTC)}
	// The environment names a configuration, but no repository: the default one is made.
	r, err := w.env.OpenOrMake(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.repo = r
	t.Cleanup(func() { r.Close() })
	return w
}

func (w *world) append(name mail.Name, subject string, flags ...string) mail.Key {
	w.Helper()
	body := fmt.Sprintf("From: Bob <bob@example.org>\r\nSubject: %s\r\nDate: Mon, 02 Mar 2026 10:00:00 +0000\r\n\r\nHello.\r\n", subject)
	m := mail.Message{Flags: mail.FlagsOf(flags...), InternalDate: w.now, Size: int64(len(body))}
	key, err := w.store.Append(w.Context(), name, m, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	return key
}

// backup takes a snapshot an hour after the one before.
func (w *world) backup(account string) *Snapshot {
	w.Helper()
	w.now = w.now.Add(time.Hour)
	var report backup.Report
	err := w.repo.Write(w.Context(), repo.WriteOptions{}, func(ctx context.Context, session *repo.Session) (err error) {
		report, err = backup.Run(ctx, w.store, w.repo.Repo, session, backup.Options{Account: account, Host: "host", Now: w.now})
		return err
	})
	if err != nil || !report.Complete() {
		w.Fatalf("backup of %s: %v, %+v", account, err, report)
	}
	sn, err := w.repo.Find(w.Context(), report.Snapshot.String(), time.Time{})
	if err != nil {
		w.Fatal(err)
	}
	return sn
}
