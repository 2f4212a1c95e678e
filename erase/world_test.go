package erase

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"roost/backup"
	"roost/blob"
	"roost/blob/blobtest"
	"roost/mail"
	"roost/message"
	"roost/query"
	"roost/repo"
	"roost/snapshot"
	"roost/store/memory"
)

const secret = "secret"

var cheap = repo.KDF{N: 1 << 10, R: 8, P: 1}

// world is a store, how it shows itself, and the repository that it is backed up to.
type world struct {
	*testing.T
	bucket  blob.Bucket
	repo    *repo.Repo
	store   *memory.Store
	source  mail.Source
	rng     *rand.Rand
	n       int // messages made
	backups int

	erased map[string]bool      // bodies of messages that were erased wherever they stood
	struck map[query.Place]bool // where the source still has messages that were erased there only; keys of the source
}

func newWorld(t *testing.T, seed uint64, o memory.Options) *world {
	t.Helper()
	o.ID = "world"
	w := &world{T: t, bucket: &blobtest.Memory{}, store: memory.New(o), rng: rand.New(rand.NewPCG(seed, 1)), erased: map[string]bool{}, struck: map[query.Place]bool{}}
	w.source = w.store
	var err error
	if w.repo, err = repo.Init(t.Context(), w.bucket, repo.NewPassword(secret), repo.InitOptions{KDF: cheap}); err != nil {
		t.Fatal(err)
	}
	return w
}

// reopen opens the repository as the next program does.
func (w *world) reopen() {
	w.Helper()
	var err error
	if w.repo, err = repo.Open(w.Context(), w.bucket, repo.NewPassword(secret)); err != nil {
		w.Fatal(err)
	}
}

const account = "alice@example.com"

// backup takes a snapshot, which must balance and hold all that the source shows but what was erased.
func (w *world) backup(o backup.Options) backup.Report {
	w.Helper()
	w.backups++
	o.Account, o.Now = account, time.Date(2026, 11, 23, 9, 0, w.backups, 0, time.UTC)
	o.Host, o.Tags = "host", []string{"staff"}
	var report backup.Report
	err := w.repo.Write(w.Context(), repo.WriteOptions{}, func(ctx context.Context, s *repo.Session) (err error) {
		report, err = backup.Run(ctx, w.source, w.repo, s, o)
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
	for i := range report.Ledger.Rows {
		if row := &report.Ledger.Rows[i]; row.Balance() != nil {
			w.Fatalf("backup %d: %v", w.backups, row.Balance())
		}
	}
	return report
}

// put stores a message of a line for each fact, so that it is known wherever it is found.
func (w *world) put(box mail.Name, more string) mail.Key {
	w.Helper()
	w.n++
	body := fmt.Sprintf("Message-ID: <id-%d@example.org>\r\nSubject: subject-%d-of\r\n\r\n%s%s", w.n, w.n, strings.Repeat(fmt.Sprintf("text-%d-of\r\n", w.n), 1+w.rng.IntN(5)), more)
	return w.putBody(box, body)
}

func (w *world) putBody(box mail.Name, body string) mail.Key {
	w.Helper()
	m := mail.Message{Flags: mail.FlagsOf(mail.Seen), InternalDate: time.Unix(int64(1e9+w.n), 0), Size: int64(len(body))}
	key, err := w.store.Append(w.Context(), box, m, strings.NewReader(body))
	if err != nil {
		w.Fatal(err)
	}
	return key
}

// attachment is a part that is stored as a blob of its own.
func attachment(n int) string {
	return "--b\r\nContent-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat(fmt.Sprintf("%064d\r\n", n), 300) + "--b--\r\n"
}

// putMultipart stores a message with that attachment.
func (w *world) putMultipart(box mail.Name, n int) mail.Key {
	w.Helper()
	w.n++
	return w.putBody(box, fmt.Sprintf("Message-ID: <id-%d@example.org>\r\nSubject: subject-%d-of\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext-%d-of\r\n%s", w.n, w.n, w.n, attachment(n)))
}

// fact is all that is known of a message in a source.
type fact struct {
	line string
	body string
	key  mail.Key
}

// facts are all messages of a source, in order, by mailbox.
func facts(t *testing.T, src mail.Source) map[mail.Name][]fact {
	t.Helper()
	boxes, err := src.Mailboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := map[mail.Name][]fact{}
	for _, box := range boxes {
		all[box.Name] = []fact{}
		if box.NoSelect {
			continue
		}
		ch, err := src.Changes(t.Context(), box.Name, "")
		if err != nil {
			t.Fatal(err)
		}
		var keys []mail.Key
		by := map[mail.Key]mail.Message{}
		for _, m := range ch.Messages {
			keys = append(keys, m.Key)
			by[m.Key] = m
		}
		for f, err := range src.Fetch(t.Context(), box.Name, keys, mail.Whole) {
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(f.Body)
			if err != nil {
				t.Fatal(err)
			}
			m := by[f.Key]
			all[box.Name] = append(all[box.Name], fact{fmt.Sprintf("%d %s %q %s %s", m.UID, m.GUID, m.Flags, m.InternalDate.UTC().Format(time.RFC3339), body), string(body), f.Key})
		}
	}
	return all
}

// lines are the facts of which keep is true, without keys.
func lines(all map[mail.Name][]fact, keep func(mail.Name, fact) bool) map[mail.Name][]string {
	out := map[mail.Name][]string{}
	for box, list := range all {
		out[box] = []string{}
		for _, f := range list {
			if keep(box, f) {
				out[box] = append(out[box], f.line)
			}
		}
	}
	return out
}

func everything(mail.Name, fact) bool { return true }

// left is what a backup may hold of a source.
func (w *world) left(box mail.Name, f fact) bool {
	return !w.erased[f.body] && !w.struck[query.Place{Mailbox: box, Key: f.key}]
}

// held is a snapshot and what is in it.
type held struct {
	sn    *repo.Snapshot
	src   *snapshot.Source
	facts map[mail.Name][]fact
}

// snapshots opens all that there are, oldest first.
func (w *world) snapshots() []held {
	w.Helper()
	all, err := w.repo.Snapshots(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	if err := w.repo.LoadIndex(w.Context()); err != nil {
		w.Fatal(err)
	}
	var list []held
	for _, sn := range all {
		src, err := snapshot.Open(w.Context(), w.repo, sn)
		if err != nil {
			w.Fatal(err)
		}
		list = append(list, held{sn, src, facts(w.T, src)})
	}
	return list
}

// erase erases what is chosen.
func (w *world) erase(c query.Choice) *Plan {
	w.Helper()
	c, err := c.Clean()
	if err != nil {
		w.Fatal(err)
	}
	plan, err := Look(w.Context(), w.repo, Options{Choose: &c})
	if err != nil {
		w.Fatal(err)
	}
	if len(plan.Doubts) > 0 {
		w.Fatalf("doubts: %v", plan.Doubts)
	}
	if err := plan.Carry(w.Context()); err != nil {
		w.Fatal(err)
	}
	return plan
}

// loose shows a store as a plain Maildir shows itself: keys that are no UIDs, full lists only, no counts.
type loose struct{ *memory.Store }

func (l loose) Mailboxes(ctx context.Context) ([]mail.Mailbox, error) {
	boxes, err := l.Store.Mailboxes(ctx)
	for i := range boxes {
		boxes[i].UIDValidity, boxes[i].UIDNext, boxes[i].HighestModSeq, boxes[i].Count, boxes[i].ID = 0, 0, 0, -1, ""
	}
	return boxes, err
}

func (l loose) Changes(ctx context.Context, name mail.Name, _ mail.Token) (mail.Changes, error) {
	ch, err := l.Store.Changes(ctx, name, "")
	ch.UIDValidity, ch.UIDNext, ch.HighestModSeq, ch.Count = 0, 0, 0, -1
	for i := range ch.Messages {
		ch.Messages[i].Key, ch.Messages[i].UID, ch.Messages[i].ModSeq = "base-name-"+ch.Messages[i].Key, 0, 0
	}
	return ch, err
}

func (l loose) Fetch(ctx context.Context, name mail.Name, keys []mail.Key, part mail.Part) iter.Seq2[mail.Fetched, error] {
	own := make([]mail.Key, len(keys))
	for i, k := range keys {
		own[i] = k[len("base-name-"):]
	}
	return func(yield func(mail.Fetched, error) bool) {
		for f, err := range l.Store.Fetch(ctx, name, own, part) {
			f.Key = "base-name-" + f.Key
			if !yield(f, err) {
				return
			}
		}
	}
}

// change does something at random to the store.
func (w *world) change() {
	w.Helper()
	ctx := w.Context()
	boxes, err := w.store.Mailboxes(ctx)
	if err != nil {
		w.Fatal(err)
	}
	box := boxes[w.rng.IntN(len(boxes))]
	if box.NoSelect {
		return
	}
	ch, err := w.store.Changes(ctx, box.Name, "")
	if err != nil {
		w.Fatal(err)
	}
	some := func() []mail.Key {
		var keys []mail.Key
		for _, m := range ch.Messages {
			if w.rng.IntN(4) == 0 {
				keys = append(keys, m.Key)
			}
		}
		return keys
	}
	switch w.rng.IntN(8) {
	case 0, 1, 2:
		for range 1 + w.rng.IntN(90) {
			w.put(box.Name, "")
		}
	case 3:
		w.putMultipart(box.Name, w.rng.IntN(3))
	case 4:
		err = w.store.SetFlags(ctx, box.Name, some(), mail.FlagsOf(mail.Flagged, "Work"), mail.FlagsOf(mail.Seen))
	case 5:
		err = w.store.Expunge(ctx, box.Name, some())
	case 6:
		_, err = w.store.Move(ctx, box.Name, some(), boxes[w.rng.IntN(len(boxes))].Name)
	case 7:
		w.n++
		name := mail.Name(fmt.Sprintf("Box %d", w.n))
		if box.Name != mail.Inbox && w.rng.IntN(2) == 0 {
			if err = w.store.Rename(ctx, box.Name, name); err == nil {
				w.renamed(box.Name, name)
			}
		} else {
			err = w.store.Create(ctx, name)
		}
	}
	if err != nil && !errors.Is(err, mail.ErrNoMailbox) {
		w.Logf("change: %v", err)
	}
}

// renamed takes along where messages were erased, if a backup can know that it is the same mailbox.
func (w *world) renamed(old, new mail.Name) {
	for p := range maps.Clone(w.struck) {
		if p.Mailbox == old {
			delete(w.struck, p)
			w.struck[query.Place{Mailbox: new, Key: p.Key}] = w.source == mail.Source(w.store)
		}
	}
}

// random chooses some of the messages in the snapshots, each in one of the ways.
func (w *world) random(all []held) (c query.Choice, chosen func(mail.Name, fact) bool) {
	ids, places, prints := map[string]bool{}, map[query.Place]bool{}, map[message.Print]bool{}
	for _, h := range all {
		for _, box := range slices.Sorted(maps.Keys(h.facts)) {
			for _, f := range h.facts[box] {
				switch w.rng.IntN(120) {
				case 0:
					id, _, _ := strings.Cut(f.body, "\r\n")
					id = strings.TrimPrefix(id, "Message-ID: ")
					ids[id] = true
					c.MessageIDs = append(c.MessageIDs, id)
				case 1:
					p := query.Place{Mailbox: box, Key: f.key}
					places[p] = true
					c.Places = append(c.Places, p)
				case 2:
					p := message.PrintOf([]byte(f.body))
					prints[p] = true
					c.Prints = append(c.Prints, p)
				}
			}
		}
	}
	return c, func(box mail.Name, f fact) bool {
		id, _, _ := strings.Cut(f.body, "\r\n")
		return ids[strings.TrimPrefix(id, "Message-ID: ")] || places[query.Place{Mailbox: box, Key: f.key}] || prints[message.PrintOf([]byte(f.body))]
	}
}
