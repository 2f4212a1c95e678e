package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"roost/blob/blobtest"
	"roost/mail"
	"roost/query"
	"roost/repo"
	"roost/snapshot"
	"roost/store/memory"
)

// world is a store, a repository, and what each snapshot must hold for ever.
type world struct {
	t     *testing.T
	repo  *repo.Repo
	store *memory.Store
	rng   *rand.Rand
	taken []taken
	n     int

	source func(*memory.Store) mail.Source // how the store shows itself
}

type taken struct {
	id   repo.ID
	held map[mail.Name][]string
}

var cheap = repo.KDF{N: 1 << 10, R: 8, P: 1}

func newWorld(t *testing.T, seed uint64, o memory.Options) *world {
	t.Helper()
	o.ID = "world"
	r, err := repo.Init(t.Context(), &blobtest.Memory{}, repo.NewPassword("secret"), repo.InitOptions{KDF: cheap})
	if err != nil {
		t.Fatal(err)
	}
	return &world{t: t, repo: r, store: memory.New(o), rng: rand.New(rand.NewPCG(seed, 1)),
		source: func(s *memory.Store) mail.Source { return s }}
}

func (w *world) backup(src mail.Source, o Options) Report {
	w.t.Helper()
	report, err := w.tryBackup(src, o)
	if err != nil {
		w.t.Fatalf("Run: %v", err)
	}
	return report
}

func (w *world) tryBackup(src mail.Source, o Options) (Report, error) {
	o.Account = "alice@example.com"
	w.n++
	if o.Now.IsZero() {
		o.Now = time.Date(2026, 11, 23, 9, 0, w.n, 0, time.UTC)
	}
	var report Report
	err := w.repo.Write(w.t.Context(), repo.WriteOptions{}, func(ctx context.Context, s *repo.Session) error {
		var err error
		report, err = Run(ctx, src, w.repo, s, o)
		return err
	})
	return report, err
}

// contents is everything a source says of its messages, in order, by mailbox.
func contents(t *testing.T, src mail.Source) map[mail.Name][]string {
	t.Helper()
	boxes, err := src.Mailboxes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[mail.Name][]string)
	for _, box := range boxes {
		all[box.Name] = []string{}
		if box.NoSelect {
			continue
		}
		ch, err := src.Changes(t.Context(), box.Name, "")
		if err != nil {
			t.Fatal(err)
		}
		var keys []mail.Key
		by := make(map[mail.Key]mail.Message)
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
			all[box.Name] = append(all[box.Name], fmt.Sprintf("%d %s %q %s %s", m.UID, m.GUID, m.Flags, m.InternalDate.UTC().Format(time.RFC3339), body))
		}
	}
	return all
}

func (w *world) open(id repo.ID) *snapshot.Source {
	w.t.Helper()
	sn, err := w.repo.LoadSnapshot(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	src, err := snapshot.Open(w.t.Context(), w.repo, sn)
	if err != nil {
		w.t.Fatal(err)
	}
	return src
}

// change does something at random to the store.
func (w *world) change() {
	w.t.Helper()
	ctx := w.t.Context()
	boxes, err := w.store.Mailboxes(ctx)
	if err != nil {
		w.t.Fatal(err)
	}
	box := boxes[w.rng.IntN(len(boxes))].Name
	ch, err := w.store.Changes(ctx, box, "")
	if err != nil && !errors.Is(err, mail.ErrNoMailbox) {
		return // a mailbox without messages of its own
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
	switch w.rng.IntN(9) {
	case 0, 1, 2, 3:
		for range 1 + w.rng.IntN(90) {
			w.n++
			body := fmt.Sprintf("Subject: %d\r\n\r\n%s", w.n, strings.Repeat("x", w.rng.IntN(50)))
			m := mail.Message{Flags: mail.FlagsOf(mail.Seen), InternalDate: time.Unix(int64(1e9+w.n), 0), Size: int64(len(body))}
			if _, err := w.store.Append(ctx, box, m, strings.NewReader(body)); err != nil {
				w.t.Fatal(err)
			}
		}
	case 4:
		err = w.store.SetFlags(ctx, box, some(), mail.FlagsOf(mail.Flagged, "Work"), mail.FlagsOf(mail.Seen))
	case 5:
		err = w.store.Expunge(ctx, box, some())
	case 6:
		_, err = w.store.Move(ctx, box, some(), boxes[w.rng.IntN(len(boxes))].Name)
	case 7:
		w.n++
		err = w.store.Create(ctx, mail.Name(fmt.Sprintf("Ünï %d/Sub", w.n)))
	case 8:
		w.n++
		if box != mail.Inbox && w.rng.IntN(2) == 0 {
			err = w.store.Rename(ctx, box, mail.Name(fmt.Sprintf("Renamed %d", w.n)))
		} else if box != mail.Inbox {
			err = w.store.Delete(ctx, box)
		}
	}
	if err != nil && !errors.Is(err, mail.ErrNoMailbox) {
		w.t.Logf("change: %v", err)
	}
}

// TestSnapshotsHoldWhatTheStoreHeld: whatever happens to a store between runs,
// each snapshot holds exactly what the store held, then and for ever.
func TestSnapshotsHoldWhatTheStoreHeld(t *testing.T) {
	stores := map[string]memory.Options{"delta": {}, "full lists": {FullOnly: true}, "no GUIDs": {NoGUID: true}, "full lists, no GUIDs": {FullOnly: true, NoGUID: true}}
	for name, o := range stores {
		for seed := range uint64(4) {
			t.Run(fmt.Sprintf("%s, seed %d", name, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { testHistory(t, newWorld(t, seed, o)) })
			})
		}
	}
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("no UIDs, no counts, seed %d", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, seed, memory.Options{})
				w.source = func(s *memory.Store) mail.Source { return loose{s} }
				testHistory(t, w)
			})
		})
	}
}

// loose shows a store as a plain Maildir shows itself: keys that are no UIDs,
// full lists only, and no counts.
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
		ch.Messages[i].Key, ch.Messages[i].UID, ch.Messages[i].ModSeq = "k"+ch.Messages[i].Key, 0, 0
	}
	return ch, err
}

func (l loose) Fetch(ctx context.Context, name mail.Name, keys []mail.Key, part mail.Part) iter.Seq2[mail.Fetched, error] {
	own := make([]mail.Key, len(keys))
	for i, k := range keys {
		own[i] = k[1:]
	}
	return func(yield func(mail.Fetched, error) bool) {
		for f, err := range l.Store.Fetch(ctx, name, own, part) {
			f.Key = "k" + f.Key
			if !yield(f, err) {
				return
			}
		}
	}
}

// files counts the messages in the tree of a snapshot.
func (w *world) files(id repo.ID) int {
	w.t.Helper()
	sn, err := w.repo.LoadSnapshot(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	var count func(repo.ID) int
	count = func(id repo.ID) (n int) {
		t, err := w.repo.LoadTree(w.t.Context(), id)
		if err != nil {
			w.t.Fatal(err)
		}
		for _, node := range t.Nodes {
			if node.Type == repo.DirNode {
				n += count(*node.Subtree)
			} else if strings.HasSuffix(node.Name, ".eml") {
				n++
			}
		}
		return n
	}
	return count(*sn.Tree)
}

func testHistory(t *testing.T, w *world) {
	for range 12 {
		for range w.rng.IntN(5) {
			w.change()
		}
		report := w.backup(w.source(w.store), Options{})
		for _, r := range report.Ledger.Rows {
			if err := r.Balance(); err != nil {
				t.Fatalf("%v", err)
			}
		}
		if !report.Complete() {
			t.Fatalf("incomplete: %+v, cut: %v", report.Ledger.Problems(), report.Cut)
		}
		w.taken = append(w.taken, taken{report.Snapshot, contents(t, w.source(w.store))})
	}
	for i, was := range w.taken {
		if d := cmp.Diff(was.held, contents(t, w.open(was.id))); d != "" {
			t.Fatalf("snapshot %d (-store +snapshot):\n%s", i, d)
		}
		messages := 0
		for _, box := range was.held {
			messages += len(box)
		}
		if files := w.files(was.id); files != messages {
			t.Fatalf("snapshot %d has %d .eml files for %d messages", i, files, messages)
		}
	}
	if check, err := w.repo.Check(t.Context(), repo.CheckOptions{ReadData: true}); err != nil || !check.OK() {
		t.Fatalf("Check: %v %+v", err, check)
	}
}

// TestMovesAndRenamesAreNotFetched: what the repository has by GUID or mailbox ID
// costs no transfer.
func TestMovesAndRenamesAreNotFetched(t *testing.T) {
	synctest.Test(t, testMovesAndRenamesAreNotFetched)
}

func testMovesAndRenamesAreNotFetched(t *testing.T) {
	w := newWorld(t, 1, memory.Options{})
	ctx := t.Context()
	var keys []mail.Key
	for i := range 300 {
		body := fmt.Sprintf("Subject: %d\r\n\r\nhello", i)
		key, err := w.store.Append(ctx, mail.Inbox, mail.Message{Size: int64(len(body))}, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	w.backup(w.store, Options{})
	if err := w.store.Create(ctx, "Archive"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.store.Move(ctx, mail.Inbox, keys[:200], "Archive"); err != nil {
		t.Fatal(err)
	}
	count := &counting{Source: w.store}
	report := w.backup(count, Options{})
	if total := report.Ledger.Total(); count.fetched != 0 || total.Known != 200 || total.Vanished != 200 || total.Held != 300 {
		t.Errorf("after a move: fetched %d, want 0; books: %+v", count.fetched, total)
	}
	if err := w.store.Rename(ctx, "Archive", "Old/Archive"); err != nil {
		t.Fatal(err)
	}
	report = w.backup(count, Options{})
	if total := report.Ledger.Total(); count.fetched != 0 || total.Held != 300 || total.New != 0 {
		t.Errorf("after a rename: fetched %d, want 0; books: %+v", count.fetched, total)
	}
	if d := cmp.Diff(contents(t, w.store), contents(t, w.open(report.Snapshot))); d != "" {
		t.Errorf("-store +snapshot:\n%s", d)
	}
}

// A GUID is no proof where the size differs: names of files make GUIDs, and people
// copy files.
func TestAGUIDThatLiesIsFoundOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, memory.Options{})
		fill(t, w.store, mail.Inbox, 4)
		w.backup(lying{w.store}, Options{})
		if err := w.store.Create(t.Context(), "Foo"); err != nil {
			t.Fatal(err)
		}
		for _, body := range []string{"Subject: other\r\n\r\nmail", "Subject: one more\r\n\r\nmail"} {
			if _, err := w.store.Append(t.Context(), "Foo", mail.Message{Size: int64(len(body))}, strings.NewReader(body)); err != nil {
				t.Fatal(err)
			}
		}
		report := w.backup(lying{w.store}, Options{})
		if d := cmp.Diff(contents(t, lying{w.store}), contents(t, w.open(report.Snapshot))); d != "" {
			t.Errorf("-store +snapshot:\n%s", d)
		}
	})
}

// lying gives the same GUIDs in each mailbox.
type lying struct{ *memory.Store }

func (l lying) Changes(ctx context.Context, name mail.Name, since mail.Token) (mail.Changes, error) {
	ch, err := l.Store.Changes(ctx, name, since)
	for i := range ch.Messages {
		ch.Messages[i].GUID = "name-" + string(ch.Messages[i].Key)
	}
	return ch, err
}

// counting counts what is asked of a source, and can refuse.
type counting struct {
	mail.Source
	fetched int
	refuse  map[mail.Key]error // answers of single messages
	cutAt   int                // breaks a Fetch after so many answers; 0: never
}

func (c *counting) Identity() string { return c.Source.(mail.Identifier).Identity() }

func (c *counting) Fetch(ctx context.Context, name mail.Name, keys []mail.Key, part mail.Part) iter.Seq2[mail.Fetched, error] {
	return func(yield func(mail.Fetched, error) bool) {
		n := 0
		for f, err := range c.Source.Fetch(ctx, name, keys, part) {
			c.fetched++
			if n++; c.cutAt > 0 && n > c.cutAt {
				yield(mail.Fetched{}, &mail.Error{Op: "fetch", Err: mail.ErrConnect})
				return
			}
			if why := c.refuse[f.Key]; why != nil {
				f, err = mail.Fetched{Key: f.Key}, &mail.Error{Op: "fetch", Mailbox: name, Key: f.Key, Err: why}
			}
			if !yield(f, err) {
				return
			}
		}
	}
}

func fill(t *testing.T, s *memory.Store, box mail.Name, n int) []mail.Key {
	t.Helper()
	var keys []mail.Key
	for i := range n {
		body := fmt.Sprintf("Subject: %s %d\r\n\r\n%s", box, i, strings.Repeat("y", i))
		key, err := s.Append(t.Context(), box, mail.Message{Size: int64(len(body)), InternalDate: time.Unix(int64(i+1)*86400, 0)}, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return keys
}

// TestAFailedMessageStopsNothing: it is in the books, in the problems with its
// age, tried again by the next run, and gone from the problems once it is stored.
func TestAFailedMessageStopsNothing(t *testing.T) {
	synctest.Test(t, testAFailedMessageStopsNothing)
}

func testAFailedMessageStopsNothing(t *testing.T) {
	w := newWorld(t, 1, memory.Options{})
	keys := fill(t, w.store, mail.Inbox, 20)
	src := &counting{Source: w.store, refuse: map[mail.Key]error{keys[3]: errors.New("NO [UNAVAILABLE]"), keys[7]: mail.ErrGone}}
	report := w.backup(src, Options{})
	row := report.Ledger.Rows[0]
	if row.Held != 18 || row.Failed != 1 || row.Gone != 1 || report.Complete() || row.Balance() != nil {
		t.Errorf("first run: %+v", row)
	}
	report = w.backup(src, Options{})
	problems := w.open(report.Snapshot).Problems()
	if len(problems) != 1 || problems[0].Tries != 2 || problems[0].Since.Second() != 1 || problems[0].Key != keys[3] {
		t.Errorf("second run: problems %+v", problems)
	}
	src.refuse = nil
	report = w.backup(src, Options{})
	if row := report.Ledger.Rows[0]; !report.Complete() || row.Held < 19 || len(w.open(report.Snapshot).Problems()) != 0 {
		t.Errorf("third run: %+v", row)
	}
}

// TestABrokenStreamDoesNotAdvanceTheState: what was not answered for is asked for
// by the next run.
func TestABrokenStreamDoesNotAdvanceTheState(t *testing.T) {
	synctest.Test(t, testABrokenStreamDoesNotAdvanceTheState)
}

func testABrokenStreamDoesNotAdvanceTheState(t *testing.T) {
	w := newWorld(t, 1, memory.Options{})
	fill(t, w.store, mail.Inbox, 50)
	src := &counting{Source: w.store, cutAt: 10}
	report := w.backup(src, Options{})
	row := report.Ledger.Rows[0]
	if row.Held != 30 || row.Failed != 20 || !errors.Is(report.Cut, mail.ErrConnect) || row.Balance() != nil {
		t.Errorf("cut run: %+v, cut %v", row, report.Cut)
	}
	snap := w.open(report.Snapshot)
	if p := snap.Problems(); len(p) != 1 || p[0].Key != "" || p[0].Mailbox != mail.Inbox || snap.Boxes()[0].Token != "" {
		t.Errorf("cut run: problems %+v, token %q; want one of the mailbox, and no token", p, snap.Boxes()[0].Token)
	}
	src.cutAt, src.fetched = 0, 0
	report = w.backup(src, Options{})
	if row := report.Ledger.Rows[0]; row.Held != 50 || src.fetched != 20 || !report.Complete() {
		t.Errorf("next run: fetched %d, want 20; %+v", src.fetched, row)
	}
}

// TestRulesAreNeverDeletions: what a rule leaves out stays in the snapshot if it
// was there, and comes when the rule goes.
func TestRulesAreNeverDeletions(t *testing.T) {
	synctest.Test(t, testRulesAreNeverDeletions)
}

func testRulesAreNeverDeletions(t *testing.T) {
	w := newWorld(t, 1, memory.Options{})
	fill(t, w.store, mail.Inbox, 10)
	if err := w.store.Create(t.Context(), "Junk"); err != nil {
		t.Fatal(err)
	}
	fill(t, w.store, "Junk", 5)
	report := w.backup(w.store, Options{Selection: query.Selection{MaxSize: 22}})
	total := report.Ledger.Total()
	if total.Excluded == 0 || total.Held+total.Excluded != 15 {
		t.Errorf("with a rule: %+v", total)
	}
	report = w.backup(w.store, Options{})
	if total := report.Ledger.Total(); total.Held != 15 || total.Vanished != 0 {
		t.Errorf("without it: %+v", total)
	}
	report = w.backup(w.store, Options{Selection: query.Selection{Exclude: []string{"Junk"}, MaxSize: 1}})
	if total := report.Ledger.Total(); total.Held != 15 || total.Vanished != 0 {
		t.Errorf("with rules against all: %+v", total)
	}
	if d := cmp.Diff(contents(t, w.store), contents(t, w.open(report.Snapshot))); d != "" {
		t.Errorf("-store +snapshot:\n%s", d)
	}
}

// TestAnUnchangedRunAsksNothing: one Mailboxes, no Changes, no Fetch.
func TestAnUnchangedRunAsksNothing(t *testing.T) {
	synctest.Test(t, testAnUnchangedRunAsksNothing)
}

func testAnUnchangedRunAsksNothing(t *testing.T) {
	w := newWorld(t, 1, memory.Options{})
	fill(t, w.store, mail.Inbox, 10)
	w.backup(w.store, Options{})
	report := w.backup(silent{w.store}, Options{})
	if row := report.Ledger.Rows[0]; row.Method != "unchanged" || row.Held != 10 {
		t.Errorf("row = %+v", row)
	}
}

// silent fails the test when it is asked for more than its mailboxes.
type silent struct{ *memory.Store }

func (silent) Changes(context.Context, mail.Name, mail.Token) (mail.Changes, error) {
	return mail.Changes{}, errors.New("asked for changes")
}

// TestADryRunWritesNothing: no object is added.
func TestADryRunWritesNothing(t *testing.T) {
	synctest.Test(t, testADryRunWritesNothing)
}

func testADryRunWritesNothing(t *testing.T) {
	w := newWorld(t, 1, memory.Options{})
	fill(t, w.store, mail.Inbox, 10)
	report, err := Run(t.Context(), w.store, w.repo, nil, Options{Account: "alice@example.com", DryRun: true})
	if err != nil || report.Ledger.Total().New != 10 || !report.Snapshot.IsNull() {
		t.Errorf("Run = %+v, %v", report, err)
	}
	if all, err := w.repo.Snapshots(t.Context()); err != nil || len(all) != 0 {
		t.Errorf("Snapshots = %v, %v", all, err)
	}
}

// TestAFailedMessageIsTriedThoughNothingChanged: the store's word that nothing
// changed is no reason to leave a problem alone.
func TestAFailedMessageIsTriedThoughNothingChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, memory.Options{})
		keys := fill(t, w.store, mail.Inbox, 5)
		src := &counting{Source: loose{w.store}, refuse: map[mail.Key]error{"k" + keys[3]: errors.New("NO [UNAVAILABLE]")}}
		w.backup(src, Options{})
		src.refuse = nil
		report := w.backup(src, Options{})
		if row := report.Ledger.Rows[0]; !report.Complete() || row.Held != 5 || row.New != 1 {
			t.Errorf("second run: %+v", row)
		}
	})
}

// TestAnUnreadMailboxKeepsWhatAnotherStoreHad: when an account moved to another
// store and a mailbox there cannot be read, that of the old store stays until it can.
func TestAnUnreadMailboxKeepsWhatAnotherStoreHad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, memory.Options{})
		fill(t, w.store, mail.Inbox, 5)
		w.backup(w.store, Options{})
		other := memory.New(memory.Options{ID: "other"})
		fill(t, other, mail.Inbox, 1)
		report := w.backup(denied{other}, Options{})
		held := contents(t, w.open(report.Snapshot))
		if report.Complete() || len(held[mail.Inbox]) != 5 || report.Ledger.Total().Vanished != 0 {
			t.Errorf("not readable: complete: %v, held: %d, want 5", report.Complete(), len(held[mail.Inbox]))
		}
		report = w.backup(other, Options{})
		if d := cmp.Diff(contents(t, other), contents(t, w.open(report.Snapshot))); d != "" || report.Ledger.Total().Vanished != 5 {
			t.Errorf("readable: %+v, -store +snapshot:\n%s", report.Ledger.Total(), d)
		}
	})
}

// denied lets nobody read its mailboxes.
type denied struct{ *memory.Store }

func (d denied) Mailboxes(ctx context.Context) ([]mail.Mailbox, error) {
	boxes, err := d.Store.Mailboxes(ctx)
	for i := range boxes {
		boxes[i].Err = mail.ErrDenied
	}
	return boxes, err
}
