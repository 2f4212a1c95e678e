package backup

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"roost/blob"
	"roost/blob/blobtest"
	"roost/mail"
	"roost/repo"
	"roost/store/memory"
)

// tracing notes the last place that was read.
type tracing struct {
	*blobtest.Memory
	handle blob.Handle
	offset int64
}

func (b *tracing) ReadAt(ctx context.Context, h blob.Handle, p []byte, off int64) error {
	b.handle, b.offset = h, off
	return b.Memory.ReadAt(ctx, h, p, off)
}

// ruin changes one octet of a blob where it is stored, and returns the pack.
func ruin(t *testing.T, bucket *blobtest.Memory, typ repo.BlobType, id repo.ID) blob.Handle {
	t.Helper()
	trace := &tracing{Memory: bucket}
	if _, err := reopen(t, trace).LoadBlob(t.Context(), typ, id, nil); err != nil {
		t.Fatal(err)
	}
	body, err := bucket.Load(t.Context(), trace.handle, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	body[trace.offset+20] ^= 1
	bucket.Put(trace.handle, body)
	return trace.handle
}

func reopen(t *testing.T, b blob.Bucket) *repo.Repo {
	t.Helper()
	r, err := repo.Open(t.Context(), b, repo.NewPassword("secret"))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// part is one blob of a snapshot.
type part struct {
	name string
	typ  repo.BlobType
	id   repo.ID
}

// parts are all blobs of a snapshot: those of messages and all others.
func parts(t *testing.T, r *repo.Repo, id repo.ID) (messages, meta []part) {
	t.Helper()
	sn, err := r.LoadSnapshot(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var walk func(path string, id repo.ID)
	walk = func(path string, id repo.ID) {
		meta = append(meta, part{path + "/", repo.TreeBlob, id})
		tree, err := r.LoadTree(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range tree.Nodes {
			if n.Type == repo.DirNode {
				walk(path+"/"+n.Name, *n.Subtree)
			}
			for _, id := range n.Content {
				if p := (part{path + "/" + n.Name, repo.DataBlob, id}); strings.HasSuffix(n.Name, ".eml") {
					messages = append(messages, p)
				} else {
					meta = append(meta, p)
				}
			}
		}
	}
	walk("", *sn.Tree)
	return messages, meta
}

// pair is a repository with two snapshots of a store, and the store, in which one mailbox changed a little since.
type pair struct {
	bucket *blobtest.Memory
	store  *memory.Store
	source mail.Source
	last   repo.ID
	held   map[mail.Name][]string
}

func newPair(t *testing.T, o memory.Options, noUIDs bool) *pair {
	t.Helper()
	o.ID = "world"
	p := &pair{bucket: &blobtest.Memory{}, store: memory.New(o)}
	p.source = p.store
	if noUIDs {
		p.source = loose{p.store}
	}
	w := &world{t: t, store: p.store}
	var err error
	if w.repo, err = repo.Init(t.Context(), p.bucket, repo.NewPassword("secret"), repo.InitOptions{KDF: cheap}); err != nil {
		t.Fatal(err)
	}
	keys := fill(t, p.store, mail.Inbox, 300)
	if err := p.store.Create(t.Context(), "Work/Deep"); err != nil {
		t.Fatal(err)
	}
	fill(t, p.store, "Work/Deep", 70)
	w.backup(p.source, Options{})
	fill(t, p.store, mail.Inbox, 3)
	if err := p.store.SetFlags(t.Context(), mail.Inbox, keys[:5], mail.FlagsOf(mail.Seen), ""); err != nil {
		t.Fatal(err)
	}
	if err := p.store.Expunge(t.Context(), mail.Inbox, keys[7:9]); err != nil {
		t.Fatal(err)
	}
	p.last = w.backup(p.source, Options{}).Snapshot
	if err := p.store.Expunge(t.Context(), mail.Inbox, keys[20:21]); err != nil {
		t.Fatal(err)
	}
	fill(t, p.store, mail.Inbox, 1)
	p.held = contents(t, p.source)
	return p
}

// mustHold compares what a snapshot holds with what the store held, in a repository that knows nothing of this run.
func (p *pair) mustHold(t *testing.T, bucket blob.Bucket, id repo.ID) {
	t.Helper()
	w := &world{t: t, repo: reopen(t, bucket)}
	got := contents(t, w.open(id))
	if diff := cmp.Diff(lettersOf(p.held), lettersOf(got)); diff != "" {
		t.Errorf("the new snapshot (-store +snapshot):\n%s", diff)
	}
}

// lettersOf are the messages in one order: that of a source without UIDs means nothing.
func lettersOf(all map[mail.Name][]string) map[mail.Name][]string {
	letters := maps.Clone(all)
	for name, list := range letters {
		letters[name] = slices.Sorted(slices.Values(list))
	}
	return letters
}

var damageStores = []struct {
	name   string
	o      memory.Options
	noUIDs bool
}{{"delta", memory.Options{}, false}, {"no GUIDs", memory.Options{NoGUID: true}, false}, {"no UIDs", memory.Options{}, true},
	{"no UIDs, no GUIDs", memory.Options{NoGUID: true}, true}}

// TestADamagedSnapshotCostsNothing: whatever blob of the last snapshot's own files and directories is damaged, a full run
// saves all that the store holds, and says what it found; and no run fails of it, or saves less than it says.
func TestADamagedSnapshotCostsNothing(t *testing.T) {
	for _, c := range damageStores {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, c.o, c.noUIDs)
				_, meta := parts(t, reopen(t, p.bucket), p.last)
				if len(meta) < 20 {
					t.Fatalf("%d blobs to damage, want at least 20", len(meta))
				}
				step := 1
				if testing.Short() {
					step = 6
				}
				for i := 0; i < len(meta); i += step {
					p.testDamage(t, meta[i], Options{Full: true})
					p.testDamage(t, meta[i], Options{})
				}
			})
		})
	}
}

func (p *pair) testDamage(t *testing.T, part part, o Options) {
	bucket := p.bucket.Clone()
	ruin(t, bucket, part.typ, part.id)
	w := &world{t: t, repo: reopen(t, bucket), n: 7}
	report, err := w.tryBackup(p.source, o)
	if err != nil {
		t.Errorf("%s damaged, full %v: Run = %v", part.name, o.Full, err)
		return
	}
	if !report.Complete() || report.Messages != 371 {
		t.Errorf("%s damaged, full %v: %d messages, complete %v: %+v", part.name, o.Full, report.Messages, report.Complete(), report.Ledger.Rows)
	}
	said := len(report.Warnings) > 0
	if o.Full && !said && !strings.HasSuffix(part.name, "ledger.json") {
		t.Errorf("%s damaged: the run does not say so", part.name)
	}
	if !o.Full && !said {
		return // it had no cause to look there
	}
	p.mustHold(t, bucket, report.Snapshot)
	w.repo = reopen(t, bucket)
	for _, b := range w.open(report.Snapshot).Boxes() {
		var octets int64
		for _, text := range p.held[b.Name] {
			octets += int64(len(text[strings.Index(text, "Subject"):]))
		}
		if b.Messages != int64(len(p.held[b.Name])) || b.Bytes != octets {
			t.Errorf("%s damaged: %s has %d messages and %d octets by its line, want %d and %d", part.name, b.Name, b.Messages, b.Bytes, len(p.held[b.Name]), octets)
		}
	}
	if again := w.backup(p.source, Options{Full: true}); len(again.Warnings) > 0 || !again.Complete() {
		t.Errorf("%s damaged: the run after says %q", part.name, again.Warnings)
	}
	if t.Failed() {
		t.FailNow()
	}
}

// TestDamagedBytesAreStoredAnew: messages whose bytes are known to be damaged, or whose pack is gone, are fetched again.
func TestDamagedBytesAreStoredAnew(t *testing.T) {
	for _, c := range damageStores {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testDamagedBytes(t, newPair(t, c.o, c.noUIDs)) })
		})
	}
}

func testDamagedBytes(t *testing.T, p *pair) {
	messages, meta := parts(t, reopen(t, p.bucket), p.last)
	bucket := p.bucket.Clone()
	w := &world{t: t, repo: reopen(t, bucket), n: 7}
	for _, m := range messages[:3] {
		ruin(t, bucket, m.typ, m.id)
		if _, err := w.repo.LoadBlob(t.Context(), m.typ, m.id, nil); err == nil {
			t.Fatal("a damaged blob was read")
		}
	}
	report := w.backup(p.source, Options{Full: true})
	fetched := int64(0)
	for _, row := range report.Ledger.Rows {
		fetched += row.New - row.Known
	}
	if !report.Complete() || fetched < 3 {
		t.Errorf("three messages damaged: %d fetched, %+v", fetched, report.Ledger.Rows)
	}
	p.mustHold(t, bucket, report.Snapshot)

	bucket = p.bucket.Clone()
	gone := map[string]bool{}
	for _, m := range slices.Concat(messages, meta) {
		if m.typ == repo.DataBlob && !strings.Contains(m.name, ".json") {
			trace := &tracing{Memory: bucket}
			if _, err := reopen(t, trace).LoadBlob(t.Context(), m.typ, m.id, nil); err == nil && !gone[trace.handle.Name] {
				gone[trace.handle.Name] = true
				if len(gone) == 1 { // the first pack has most of the messages
					if err := bucket.Remove(t.Context(), trace.handle); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		if len(gone) > 0 {
			break
		}
	}
	w.repo = reopen(t, bucket)
	report = w.backup(p.source, Options{Full: true})
	if !report.Complete() || len(report.Warnings) == 0 {
		t.Errorf("a pack is gone: %q, %+v", report.Warnings, report.Ledger.Rows)
	}
	p.mustHold(t, bucket, report.Snapshot)
}

// TestWhatIsLeftIsNotFetched: where the flags of a bucket are damaged, its messages are still recognised.
func TestWhatIsLeftIsNotFetched(t *testing.T) {
	for _, c := range damageStores[:2] {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPair(t, c.o, c.noUIDs)
				_, meta := parts(t, reopen(t, p.bucket), p.last)
				for _, part := range meta {
					if !strings.HasSuffix(part.name, "0000000000.flags") || !strings.Contains(part.name, "INBOX") {
						continue
					}
					bucket := p.bucket.Clone()
					ruin(t, bucket, part.typ, part.id)
					w := &world{t: t, repo: reopen(t, bucket), n: 7}
					src := &counting{Source: p.source}
					if report := w.backup(src, Options{Full: true}); src.fetched != 1 || len(report.Warnings) != 1 {
						t.Errorf("%d messages fetched, want the new one alone; %q", src.fetched, report.Warnings)
					}
					return
				}
				t.Errorf("no flags among %v", meta)
			})
		})
	}
}
