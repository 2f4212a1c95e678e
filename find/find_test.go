package find

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roost/backup"
	"roost/blob"
	"roost/blob/blobtest"
	"roost/mail"
	"roost/query"
	"roost/repo"
	"roost/snapshot"
	"roost/store/memory"
)

// world is a store, its snapshots, and what each of them holds: the oracle.
type world struct {
	*testing.T
	bucket  *blobtest.Memory
	repo    *repo.Repo
	store   *memory.Store
	rng     *rand.Rand
	n       int // messages made
	sources []*snapshot.Source
	held    []map[place]fact // of each snapshot
}

type place struct {
	box mail.Name
	uid uint32
}

type fact struct {
	body  string
	flags mail.Flags
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{T: t, bucket: &blobtest.Memory{}, store: memory.New(memory.Options{ID: "world"}), rng: rand.New(rand.NewPCG(seed, 7))}
	var err error
	if w.repo, err = repo.Init(t.Context(), w.bucket, repo.NewPassword("secret"), repo.InitOptions{KDF: repo.KDF{N: 1 << 10, R: 8, P: 1}}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) check(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// list is what the store holds.
func (w *world) list() map[place]fact {
	held := make(map[place]fact)
	boxes, err := w.store.Mailboxes(w.Context())
	w.check(err)
	for _, box := range boxes {
		ch, err := w.store.Changes(w.Context(), box.Name, "")
		w.check(err)
		for _, m := range ch.Messages {
			for f, err := range w.store.Fetch(w.Context(), box.Name, []mail.Key{m.Key}, mail.Whole) {
				w.check(err)
				body, err := io.ReadAll(f.Body)
				w.check(err)
				held[place{box.Name, m.UID}] = fact{string(body), m.Flags}
			}
		}
	}
	return held
}

func (w *world) keys(box mail.Name) (keys []mail.Key) {
	ch, err := w.store.Changes(w.Context(), box, "")
	w.check(err)
	for _, m := range ch.Messages {
		keys = append(keys, m.Key)
	}
	return keys
}

// change does something that a user does.
func (w *world) change() {
	box := []mail.Name{"INBOX", "Work", "Work/2026"}[w.rng.IntN(3)]
	keys := w.keys(box)
	switch do := w.rng.IntN(6); {
	case do < 3 || len(keys) == 0:
		w.n++
		body := fmt.Sprintf("From: sender%d@example.org\r\nSubject: number%d\r\n\r\nword%d %s\r\n", w.n%4, w.n, w.n, strings.Repeat("text ", w.rng.IntN(30000)))
		_, err := w.store.Append(w.Context(), box, mail.Message{InternalDate: time.Unix(int64(1e9+w.n), 0), Size: int64(len(body))}, strings.NewReader(body))
		w.check(err)
	case do == 3:
		w.check(w.store.Expunge(w.Context(), box, keys[:1]))
	case do == 4:
		_, err := w.store.Move(w.Context(), box, keys[:1], "Archive")
		w.check(err)
	default:
		w.check(w.store.SetFlags(w.Context(), box, keys[len(keys)-1:], mail.FlagsOf(mail.Flagged), ""))
	}
}

func (w *world) backup() {
	at := time.Date(2026, 3, 1+len(w.sources), 9, 0, 0, 0, time.UTC)
	w.held = append(w.held, w.list())
	err := w.repo.Write(w.Context(), repo.WriteOptions{}, func(ctx context.Context, s *repo.Session) error {
		_, err := backup.Run(ctx, w.store, w.repo, s, backup.Options{Account: "alice", Now: at})
		return err
	})
	w.check(err)
	all, err := w.repo.Snapshots(w.Context())
	w.check(err)
	src, err := snapshot.Open(w.Context(), w.repo, all[len(all)-1])
	w.check(err)
	w.sources = append(w.sources, src)
}

// line is what is to be known of a message.
type line struct {
	place
	fact
	first, last int
	moved       []place
}

// expect works out what a query finds, the plainest way.
func (w *world) expect(means func(line) bool) map[place]line {
	all := make(map[place]line)
	for i, held := range w.held {
		for at, f := range held {
			l, seen := all[at]
			if !seen {
				l.first = i
			}
			l.place, l.fact, l.last = at, f, i
			all[at] = l
		}
	}
	newest := len(w.held) - 1
	for at, l := range all {
		for other, f := range w.held[newest] {
			if l.last < newest && f.body == l.body {
				l.moved = append(l.moved, other)
			}
		}
		slices.SortFunc(l.moved, func(a, b place) int { return strings.Compare(string(a.box), string(b.box)) })
		if all[at] = l; !means(l) {
			delete(all, at)
		}
	}
	return all
}

func (w *world) day(t time.Time) int { return t.Day() - 1 }

// What a query finds is exactly what the snapshots held: each message once, as the last snapshot knew it, from the first to the last that
// held it, with its copies in the newest; and a view of it gives the very bytes.
func TestRun(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, seed)
			for _, box := range []mail.Name{"Work", "Work/2026", "Archive"} {
				w.check(w.store.Create(t.Context(), box))
			}
			for i := range 5 {
				for range 12 {
					w.change()
				}
				if i == 4 && seed%2 == 0 {
					w.check(w.store.Delete(t.Context(), "Work/2026"))
				}
				w.backup()
			}
			last := len(w.held) - 1
			has := func(l line, text string) bool { return strings.Contains(l.body, text) }
			for text, means := range map[string]func(line) bool{
				"":                              func(line) bool { return true },
				"from:sender1":                  func(l line) bool { return has(l, "sender1@") },
				"word1*":                        func(l line) bool { return has(l, "\r\nword1") },
				"folder:Work":                   func(l line) bool { return l.box == "Work" || l.box == "Work/2026" },
				"flag:flagged -from:sender2":    func(l line) bool { return l.flags.Has(mail.Flagged) && !has(l, "sender2@") },
				"deleted:..2030":                func(l line) bool { return l.last < last },
				"deleted:2026-03-03 text":       func(l line) bool { return l.last == 1 && has(l, "text ") },
				"added:2026-03-04.. or word3":   func(l line) bool { return l.first >= 3 || has(l, "\r\nword3 ") },
				"larger:64k (subject:number1*)": func(l line) bool { return len(l.body) > 64<<10 && has(l, "Subject: number1") },
			} {
				w.compare(text, w.expect(means))
			}
		})
	}
}

func (w *world) compare(text string, want map[place]line) {
	w.Helper()
	q, err := query.Parse(text, time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC))
	w.check(err)
	var found []Found
	got := make(map[place]line)
	for f, err := range Run(w.Context(), w.sources, Options{Query: q, Moved: true, Headers: true}) {
		w.check(err)
		l := line{place: place{f.Mailbox, f.Message.UID}, first: w.day(f.First.Time), last: w.day(f.Last.Time)}
		l.flags = f.Message.Flags
		if f.Last.Snapshot != w.sources[l.last].ID() || f.Deleted.IsZero() != (l.last == len(w.sources)-1) || !f.Deleted.IsZero() && w.day(f.Deleted) != l.last+1 {
			w.Errorf("%q: %v: last %v, deleted %v", text, l.place, f.Last, f.Deleted)
		}
		for _, p := range f.Moved {
			slot, err := snapshot.ParseSlot(string(p.Key))
			w.check(err)
			l.moved = append(l.moved, place{p.Mailbox, uint32(slot)})
		}
		if _, twice := got[l.place]; twice {
			w.Errorf("%q: %v is found twice", text, l.place)
		}
		if !strings.Contains(want[l.place].body, "Subject: "+f.Subject+"\r\n") {
			w.Errorf("%q: %v has subject %q", text, l.place, f.Subject)
		}
		got[l.place] = l
		found = append(found, f)
	}
	w.view(text, found, got)
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(line{}, place{}, fact{})); diff != "" {
		w.Errorf("Run(%q), -want +got:\n%.2000s", text, diff)
	}
}

// view puts the bytes that a view of found gives into got.
func (w *world) view(text string, found []Found, got map[place]line) {
	v := NewView(w.sources[len(w.sources)-1], found)
	boxes, err := v.Mailboxes(w.Context())
	w.check(err)
	n := 0
	for _, box := range boxes {
		ch, err := v.Changes(w.Context(), box.Name, "")
		w.check(err)
		keys, uid := []mail.Key{}, make(map[mail.Key]uint32)
		for _, m := range ch.Messages {
			keys = append(keys, m.Key)
			uid[m.Key] = m.UID
		}
		if ch.Count != int64(len(keys)) {
			w.Errorf("%q: view of %s: count %d, want %d", text, box.Name, ch.Count, len(keys))
		}
		for f, err := range v.Fetch(w.Context(), box.Name, keys, mail.Whole) {
			w.check(err)
			body, err := io.ReadAll(f.Body)
			w.check(err)
			at := place{box.Name, uid[f.Key]}
			l := got[at]
			l.body = string(body)
			got[at] = l
			n++
		}
	}
	if n != len(found) {
		w.Errorf("%q: the view holds %d messages of %d", text, n, len(found))
	}
}

// A mailbox that was made anew has other messages under the same numbers: they are told apart, and a view holds both.
func TestNewUIDValidity(t *testing.T) {
	w := newWorld(t, 1)
	for i := range 2 {
		w.check(w.store.Create(t.Context(), "Work"))
		body := fmt.Sprintf("Subject: life%d\r\n\r\nx\r\n", i)
		_, err := w.store.Append(t.Context(), "Work", mail.Message{Size: int64(len(body))}, strings.NewReader(body))
		w.check(err)
		w.backup()
		w.check(w.store.Delete(t.Context(), "Work"))
	}
	var found []Found
	var subjects []string
	for f, err := range Run(t.Context(), w.sources, Options{Headers: true}) {
		w.check(err)
		found = append(found, f)
		subjects = append(subjects, fmt.Sprint(f.Subject, " ", f.Message.Key, " ", f.Deleted.IsZero()))
	}
	slices.Sort(subjects)
	if diff := cmp.Diff([]string{"life0 1 false", "life1 1 true"}, subjects); diff != "" {
		t.Fatal(diff)
	}
	v := NewView(w.sources[1], found)
	ch, err := v.Changes(t.Context(), "Work", "")
	w.check(err)
	bodies, numbered := map[string]bool{}, 0
	for _, m := range ch.Messages {
		if m.UID != 0 {
			numbered++
		}
		for f, err := range v.Fetch(t.Context(), "Work", []mail.Key{m.Key, "77"}, mail.Whole) {
			if f.Key == "77" {
				continue
			}
			w.check(err)
			body, err := io.ReadAll(f.Body)
			w.check(err)
			bodies[string(body)] = true
		}
	}
	if len(bodies) != 2 || numbered != 1 {
		t.Errorf("the view holds %v, %d with an UID; want both, and one with its UID", bodies, numbered)
	}
}

// Of a message whose bytes are lost it is said that it could not be looked at, and the others are found.
func TestRunDamage(t *testing.T) {
	w := newWorld(t, 1)
	for i := range 2 {
		long := make([]byte, i<<20) // fills nearly all of its pack
		for j := range long {
			long[j] = byte('a' + w.rng.IntN(26))
		}
		body := fmt.Sprintf("Subject: number%d\r\n\r\nsome text\r\n%s", i, long)
		_, err := w.store.Append(t.Context(), "INBOX", mail.Message{Size: int64(len(body))}, strings.NewReader(body))
		w.check(err)
		w.backup()
	}
	buckets, err := w.sources[1].Buckets(t.Context(), "INBOX")
	w.check(err)
	stored, err := w.sources[1].StoredLeft(t.Context(), buckets[0])
	w.check(err)
	pack, ok := w.repo.BlobPack(repo.DataBlob, stored[1].Content[0])
	if other, _ := w.repo.BlobPack(repo.DataBlob, stored[0].Content[0]); !ok || other == pack {
		t.Fatal("the messages stand in one pack, or in none")
	}
	h := blob.Handle{Kind: blob.Pack, Name: pack.String()}
	octets, err := w.bucket.Load(t.Context(), h, 1<<30)
	w.check(err)
	octets[len(octets)/2] ^= 1
	w.check(w.bucket.Remove(t.Context(), h))
	w.check(w.bucket.Save(t.Context(), h, octets))
	if w.repo, err = repo.Open(t.Context(), w.bucket, repo.NewPassword("secret")); err != nil {
		t.Fatal(err)
	}
	for i, src := range w.sources {
		sn, err := w.repo.FindSnapshot(t.Context(), src.ID().String())
		w.check(err)
		w.sources[i], err = snapshot.Open(t.Context(), w.repo, sn)
		w.check(err)
	}
	for text, want := range map[string]struct{ found, doubts int }{"some text": {1, 1}, "subject:number0": {1, 1}, "larger:1k": {1, 0}, "uid:2": {1, 0}, "uid:1 text": {1, 0}} {
		q, err := query.Parse(text, time.Now())
		w.check(err)
		found, doubts := 0, 0
		for _, err := range Run(t.Context(), w.sources, Options{Query: q}) {
			if err != nil {
				doubts++
			} else {
				found++
			}
		}
		if found != want.found || doubts != want.doubts {
			t.Errorf("Run(%q): %d found, %d doubts, want %v", text, found, doubts, want)
		}
	}
}

// A search that is cut short says so, and leaves nothing running.
func TestRunCut(t *testing.T) {
	w := newWorld(t, 3)
	w.check(w.store.Create(t.Context(), "Work"))
	w.check(w.store.Create(t.Context(), "Work/2026"))
	w.check(w.store.Create(t.Context(), "Archive"))
	for range 40 {
		w.change()
	}
	w.backup()
	for range Run(t.Context(), w.sources, Options{}) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var last error
	for _, err := range Run(ctx, w.sources, Options{}) {
		last = err
	}
	if last == nil {
		t.Error("a search whose context is done ends without an error")
	}
}
