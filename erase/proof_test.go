package erase

import (
	"bytes"
	"strings"
	"testing"

	"roost/backup"
	"roost/blob"
	"roost/mail"
	"roost/peer"
	"roost/query"
	"roost/repo"
	"roost/store/memory"
)

// After a prune no blob of an erased message is in the repository, but those that the plan said stay; those stay as long as
// another message uses them, and go with it. restic, which prunes, finds the repository whole, every bit of it.
func TestPruneLeavesNothingOfErased(t *testing.T) {
	restic := peer.Restic(t)
	dir := t.TempDir()
	w := newWorld(t, 1, memory.Options{})
	local := blob.NewLocal(dir, blob.LocalOptions{})
	if err := local.Create(); err != nil {
		t.Fatal(err)
	}
	w.bucket = local
	var err error
	if w.repo, err = repo.Init(t.Context(), w.bucket, repo.NewPassword(secret), repo.InitOptions{KDF: cheap}); err != nil {
		t.Fatal(err)
	}
	restic = restic.With("RESTIC_REPOSITORY="+dir, "RESTIC_PASSWORD="+secret, "RESTIC_CACHE_DIR="+t.TempDir())
	shared, alone := 1, 2
	if err := w.store.Create(t.Context(), "Work"); err != nil {
		t.Fatal(err)
	}
	erased := w.putMultipart(mail.Inbox, shared) // subject-1-of
	w.putMultipart("Work", shared)               // subject-2-of
	w.putMultipart(mail.Inbox, alone)            // subject-3-of
	w.put(mail.Inbox, "")
	w.backup(backup.Options{})
	w.put(mail.Inbox, "")
	w.backup(backup.Options{})

	plan := w.erase(query.Choice{Places: []query.Place{{Mailbox: mail.Inbox, Key: erased}}, MessageIDs: []string{"<id-3@example.org>"}})
	messages := plan.Accounts[0].Messages
	if len(messages) != 2 || largest(messages[0].Used) < 8<<10 || largest(messages[1].Used) > 16 {
		t.Fatalf("the plan: %+v, want one message with a shared attachment and one that shares its last line only", plan.Accounts[0])
	}
	w.reopen()
	if blobs := w.blobs(restic); !bytes.Contains(blobs, []byte("text-1-of")) {
		t.Fatal("the bytes went before the prune: then this test shows nothing")
	}
	restic.Run(t, "prune", "--max-unused", "0")
	restic.Run(t, "check", "--read-data")
	w.mustBeWithout(restic, []string{"text-1-of", "subject-1-of", "id-1@", "text-3-of", attachment(alone)[60:200]}, []string{"text-2-of", attachment(shared)[60:200]})
	w.mustLack(messages)

	plan = w.erase(query.Choice{MessageIDs: []string{"<id-2@example.org>"}})
	if n := len(plan.Accounts[0].Messages); n != 1 || len(plan.Accounts[0].Messages[0].Used) != 0 {
		t.Fatalf("%d messages, want the other one, alone now", n)
	}
	restic.Run(t, "prune", "--max-unused", "0")
	w.backup(backup.Options{Full: true}) // with all of them still at the source
	restic.Run(t, "check", "--read-data")
	w.mustBeWithout(restic, []string{"text-2-of", attachment(shared)[60:200]}, []string{"text-4-of"})
	w.mustLack(plan.Accounts[0].Messages)
}

// largest is the size of the largest part that stays.
func largest(used []Use) (size int64) {
	for _, u := range used {
		size = max(size, u.Size)
	}
	return size
}

// blobs are the plain bytes of all blobs in the repository, used or not.
func (w *world) blobs(restic peer.Program) (all []byte) {
	w.Helper()
	w.reopen()
	if err := w.repo.LoadIndex(w.Context()); err != nil {
		w.Fatal(err)
	}
	for line := range strings.Lines(restic.Run(w, "list", "blobs")) {
		kind, text, _ := strings.Cut(strings.TrimSpace(line), " ")
		id, err := repo.ParseID(text)
		if err != nil {
			w.Fatalf("restic lists %q: %v", line, err)
		}
		of := repo.DataBlob
		if kind == "tree" {
			of = repo.TreeBlob
		}
		p, err := w.repo.LoadBlob(w.Context(), of, id, nil)
		if err != nil {
			w.Fatal(err)
		}
		all = append(all, p...)
	}
	return all
}

// mustBeWithout holds that no blob has one of the texts of gone, and that all of there are in some.
func (w *world) mustBeWithout(restic peer.Program, gone, there []string) {
	w.Helper()
	all := w.blobs(restic)
	for _, text := range gone {
		if bytes.Contains(all, []byte(text)) {
			w.Errorf("a blob holds %.40q", text)
		}
	}
	for _, text := range there {
		if !bytes.Contains(all, []byte(text)) {
			w.Errorf("no blob holds %.40q", text)
		}
	}
}

// mustLack holds that the repository has no blob of messages but those that stay.
func (w *world) mustLack(messages []*Message) {
	w.Helper()
	for _, m := range messages {
		stays := map[repo.ID]bool{}
		for _, u := range m.Used {
			stays[u.Blob] = true
		}
		for _, id := range m.Blobs {
			if _, has := w.repo.BlobSize(repo.DataBlob, id); has != stays[id] {
				w.Errorf("%s:%s: blob %s is there: %t, want %t", m.Mailbox, m.Key, id.Short(), has, stays[id])
			}
		}
	}
}
