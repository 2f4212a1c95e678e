package backup

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"roost/mail"
	"roost/query"
	"roost/snapshot"
	"roost/store/memory"
)

// withAttachment is a message whose attachment --skip-attachments leaves out.
func withAttachment(n int) string {
	return fmt.Sprintf("Subject: %d\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"+
		"--b\r\nContent-Type: text/plain\r\n\r\nSee below.\r\n"+
		"--b\r\nContent-Type: application/pdf\r\nContent-Disposition: attachment; filename=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n%s\r\n--b--\r\n",
		n, strings.Repeat("QUJD", 50+n))
}

func fillAttachments(t *testing.T, s *memory.Store, n int) []mail.Key {
	t.Helper()
	var keys []mail.Key
	for i := range n {
		body := withAttachment(i)
		key, err := s.Append(t.Context(), mail.Inbox, mail.Message{Size: int64(len(body))}, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
	}
	return keys
}

// TestSkippedAttachmentsComeWhenTheRuleGoes: a placeholder is no message. It stays
// only as long as the message cannot be read, and that is in the books.
func TestSkippedAttachmentsComeWhenTheRuleGoes(t *testing.T) {
	for name, o := range map[string]memory.Options{"delta": {}, "full lists": {FullOnly: true}, "no GUIDs": {NoGUID: true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testSkippedAttachments(t, newWorld(t, 1, o)) })
		})
	}
}

func testSkippedAttachments(t *testing.T, w *world) {
	keys := fillAttachments(t, w.store, 5)
	fill(t, w.store, mail.Inbox, 2)
	skip := Options{Selection: query.Selection{SkipAttachments: true}}
	for range 2 { // with the rule in force, placeholders are what is wanted
		report := w.backup(w.store, skip)
		if row := report.Ledger.Rows[0]; !report.Complete() || row.Held != 7 || row.Altered > 5 {
			t.Fatalf("with the rule: %+v", row)
		}
	}
	src := &counting{Source: w.store, refuse: map[mail.Key]error{keys[3]: errors.New("NO [UNAVAILABLE]")}}
	for _, fetched := range []int{5, 1} {
		src.fetched = 0
		report := w.backup(src, Options{})
		row := report.Ledger.Rows[0]
		if report.Complete() || row.Failed != 1 || row.Held != 6 || row.Balance() != nil || report.Messages != 7 || src.fetched != fetched {
			t.Errorf("without the rule, one refused: fetched %d, want %d; %d messages, %+v", src.fetched, fetched, report.Messages, row)
		}
		snap := w.open(report.Snapshot)
		if held := contents(t, snap)[mail.Inbox]; len(held) != 7 || !strings.Contains(held[3], "SHA-256") || strings.Contains(held[2], "SHA-256") || snap.Boxes()[0].Messages != 7 {
			t.Errorf("one refused: the placeholder is not what is held of it: %q", held)
		}
	}
	src.refuse = nil
	report := w.backup(src, Options{})
	if row := report.Ledger.Rows[0]; !report.Complete() || row.Held != 7 || report.Messages != 7 {
		t.Errorf("without the rule: %+v", row)
	}
	if d := cmp.Diff(contents(t, w.store), contents(t, w.open(report.Snapshot))); d != "" {
		t.Errorf("-store +snapshot:\n%s", d)
	}
	src.fetched = 0
	if report = w.backup(src, Options{Full: true}); src.fetched != 0 || report.Ledger.Rows[0].New != 0 {
		t.Errorf("once more: fetched %d, want 0", src.fetched)
	}
}

// edited shows some messages as if somebody had rewritten them where they stand.
type edited struct {
	*memory.Store
	files  bool // dates are those of files
	edits  map[mail.Key]string
	dates  map[mail.Key]time.Time
	sizes  int64 // is added to each size
	fetch  int
	refuse error
}

func (e *edited) Changes(ctx context.Context, name mail.Name, since mail.Token) (mail.Changes, error) {
	ch, err := e.Store.Changes(ctx, name, since)
	ch.FileDates = e.files
	ch.Messages = slices.Clone(ch.Messages)
	for i := range ch.Messages {
		m := &ch.Messages[i]
		if body, ok := e.edits[m.Key]; ok {
			m.Size = int64(len(body))
		}
		if date, ok := e.dates[m.Key]; ok {
			m.InternalDate = date
		}
		m.Size += e.sizes
	}
	return ch, err
}

func (e *edited) Fetch(ctx context.Context, name mail.Name, keys []mail.Key, part mail.Part) iter.Seq2[mail.Fetched, error] {
	return func(yield func(mail.Fetched, error) bool) {
		for f, err := range e.Store.Fetch(ctx, name, keys, part) {
			e.fetch++
			if body, ok := e.edits[f.Key]; ok {
				f.Body, f.Size = strings.NewReader(body), int64(len(body))
			}
			if e.refuse != nil {
				f, err = mail.Fetched{Key: f.Key}, &mail.Error{Op: "fetch", Mailbox: name, Key: f.Key, Err: e.refuse}
			}
			if !yield(f, err) {
				return
			}
		}
	}
}

// TestWhatWasRewrittenIsStoredAgain: a full list shows by size or date that the bytes
// under a key are others now. What cannot be read again stays as it was.
func TestWhatWasRewrittenIsStoredAgain(t *testing.T) {
	for _, c := range []struct {
		name  string
		o     memory.Options
		files bool
		run   Options
	}{
		{"a file, by its name", memory.Options{FullOnly: true}, true, Options{}},
		{"a UID given twice", memory.Options{FullOnly: true, NoGUID: true}, false, Options{}},
		{"a file, though its directory did not change", memory.Options{}, true, Options{Full: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1, c.o)
				keys := fill(t, w.store, mail.Inbox, 6)
				src := &edited{Store: w.store, files: c.files, edits: map[mail.Key]string{}, dates: map[mail.Key]time.Time{}}
				w.backup(src, c.run)
				src.edits[keys[1]] = "Subject: another size\r\n\r\n"
				src.edits[keys[2]] = "Subject: INBOX 2\r\n\r\nzz" // of the same size
				src.dates[keys[2]] = time.Unix(1e9, 0)
				src.fetch, src.refuse = 0, errors.New("locked")
				report := w.backup(src, c.run)
				if row := report.Ledger.Rows[0]; src.fetch != 2 || row.Failed != 2 || row.Held != 4 || row.Balance() != nil || report.Messages != 6 {
					t.Errorf("not readable: %d fetched, want 2; %d messages, %+v", src.fetch, report.Messages, row)
				}
				if held := contents(t, w.open(report.Snapshot))[mail.Inbox]; len(held) != 6 || !strings.HasSuffix(held[2], "yy") {
					t.Errorf("not readable: the snapshot holds %q", held)
				}
				src.fetch, src.refuse = 0, nil
				report = w.backup(src, c.run)
				if row := report.Ledger.Rows[0]; src.fetch != 2 || row.Held != 6 || !report.Complete() {
					t.Errorf("readable: %d fetched, want 2; %+v", src.fetch, row)
				}
				if d := cmp.Diff(contents(t, src), contents(t, w.open(report.Snapshot))); d != "" {
					t.Errorf("-store +snapshot:\n%s", d)
				}
				src.fetch = 0
				if report = w.backup(src, c.run); src.fetch != 0 || !report.Complete() {
					t.Errorf("once more: %d fetched, want 0", src.fetch)
				}
			})
		})
	}
}

// TestAServerThatMiscountsIsNotReadAgain: some servers say sizes that are not those
// of what they send, and always the same.
func TestAServerThatMiscountsIsNotReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, memory.Options{FullOnly: true, NoGUID: true})
		fill(t, w.store, mail.Inbox, 5)
		src := &edited{Store: w.store, sizes: 3}
		w.backup(src, Options{})
		src.fetch = 0
		for range 2 {
			if report := w.backup(src, Options{Full: true}); src.fetch != 0 || !report.Complete() {
				t.Errorf("%d fetched, want 0; %+v", src.fetch, report.Ledger.Rows)
			}
		}
	})
}

// blind cannot look at some messages when it lists them.
type blind struct {
	mail.Source
	keys map[mail.Key]bool
}

func (b *blind) Identity() string { return b.Source.(mail.Identifier).Identity() }

func (b *blind) Changes(ctx context.Context, name mail.Name, since mail.Token) (mail.Changes, error) {
	ch, err := b.Source.Changes(ctx, name, since)
	var seen []mail.Message
	for _, m := range ch.Messages {
		if b.keys[m.Key] {
			ch.Failed = append(ch.Failed, &mail.Error{Op: "list", Mailbox: name, Key: m.Key, Err: mail.ErrDenied})
		} else {
			seen = append(seen, m)
		}
	}
	ch.Messages = seen
	return ch, err
}

// TestWhatCannotBeListedStays: a message that is there and of which nothing can be
// said has failed. What the snapshot holds of it stays, and it is tried again until it is as it should be.
func TestWhatCannotBeListedStays(t *testing.T) {
	for name, o := range map[string]memory.Options{"delta": {}, "full lists": {FullOnly: true}, "no UIDs": {}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 1, o)
				keys := fill(t, w.store, mail.Inbox, 6)
				var src mail.Source = w.store
				if name == "no UIDs" {
					src = loose{w.store}
					for i := range keys {
						keys[i] = "k" + keys[i]
					}
				}
				b := &blind{src, map[mail.Key]bool{keys[5]: true}}
				w.backup(b, Options{}) // one is new and never was stored
				b.keys[keys[2]] = true
				for run := range 2 {
					report := w.backup(b, Options{Full: true})
					row := report.Ledger.Rows[0]
					if report.Complete() || row.Held != 4 || row.Failed != 2 || row.Vanished != 0 || row.Balance() != nil || report.Messages != 5 {
						t.Errorf("run %d: %d messages, %+v", run, report.Messages, row)
					}
					snap := w.open(report.Snapshot)
					if held := contents(t, snap)[mail.Inbox]; len(held) != 5 || len(snap.Problems()) != 2 || snap.Problems()[1].Tries != run+2 {
						t.Errorf("run %d: the snapshot holds %q; problems %+v", run, held, snap.Problems())
					}
				}
				b.keys = nil
				report := w.backup(b, Options{})
				if row := report.Ledger.Rows[0]; !report.Complete() || row.Held != 6 || report.Messages != 6 {
					t.Errorf("when all can be listed: %d messages, %+v", report.Messages, row)
				}
				if d := cmp.Diff(contents(t, src), contents(t, w.open(report.Snapshot))); d != "" {
					t.Errorf("-store +snapshot:\n%s", d)
				}
			})
		})
	}
}

// TestWhatWasNeverListedIsListedFirst: of a message that failed when it was listed
// nothing is known. It must not be stored without date, flags and UID by a run that is only told what changed.
func TestWhatWasNeverListedIsListedFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1, memory.Options{})
		keys := fill(t, w.store, mail.Inbox, 4)
		b := &blind{w.store, map[mail.Key]bool{keys[2]: true}}
		w.backup(b, Options{})
		b.keys = nil
		report := w.backup(b, Options{})
		if d := cmp.Diff(contents(t, w.store), contents(t, w.open(report.Snapshot))); d != "" || !report.Complete() {
			t.Errorf("complete %v, -store +snapshot:\n%s", report.Complete(), d)
		}
	})
}

// TestALooseProblemSurvivesADelta: a delta that tells which UIDs there are says nothing of
// messages without one.
func TestALooseProblemSurvivesADelta(t *testing.T) {
	present := mail.UIDSet{}
	present.AddRange(1, 9)
	m := mailbox{changes: mail.Changes{UIDValidity: 1, Present: &present}, pending: map[mail.Key]*snapshot.Problem{
		"c": {Key: "c", Size: 3}, "b": {Key: "b", Size: 3}, "a": {Key: "a", Size: 3}, "d": {Key: "d", Size: 3}, "20": {Key: "20", UID: 20, Size: 3}, "": {},
	}}
	var got []mail.Key
	for _, x := range m.retry(nil) {
		got = append(got, x.Key)
	}
	if want := []mail.Key{"a", "b", "c", "d"}; !slices.Equal(got, want) {
		t.Errorf("retry = %q, want %q", got, want)
	}
	if m.isGone(0) {
		t.Error("a message without UID is gone by a list of UIDs")
	}
}
