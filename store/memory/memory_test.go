package memory_test

import (
	"errors"
	"strings"
	"testing"

	"roost/mail"
	"roost/store/memory"
	"roost/store/storetest"
)

// The store keeps the contract. storetest's own test runs it with fewer powers.
func TestStore(t *testing.T) {
	storetest.Run(t, func(*testing.T) mail.Store { return memory.New(memory.Options{}) }, storetest.Options{
		Reopen: func(_ *testing.T, s mail.Store) mail.Store { return s },
	})
}

// Renumber voids tokens and UIDs, and keeps messages, GUIDs and their order.
func TestRenumber(t *testing.T) {
	s := memory.New(memory.Options{ID: "x"})
	for _, text := range []string{"one", "two", "three"} {
		if _, err := s.Append(t.Context(), mail.Inbox, mail.Message{Size: -1}, strings.NewReader(text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Expunge(t.Context(), mail.Inbox, []mail.Key{"1"}); err != nil {
		t.Fatal(err)
	}
	before, err := s.Changes(t.Context(), mail.Inbox, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Renumber(t.Context(), mail.Inbox); err != nil {
		t.Fatalf("Renumber = %v, want nil", err)
	}
	after, err := s.Changes(t.Context(), mail.Inbox, before.Token)
	if err != nil {
		t.Fatal(err)
	}
	if !after.Full || after.UIDValidity == before.UIDValidity || len(after.Messages) != 2 {
		t.Fatalf("after Renumber, Changes = %+v; before it was %+v", after, before)
	}
	for i, m := range after.Messages {
		if m.UID != uint32(i+1) || m.GUID != before.Messages[i].GUID {
			t.Errorf("message %d has UID %d, GUID %q; want %d, %q", i, m.UID, m.GUID, i+1, before.Messages[i].GUID)
		}
	}
	if before.Messages[0].UID != 2 {
		t.Errorf("Renumber changed a list that was given out: UID %d, want 2", before.Messages[0].UID)
	}
}

// A body that is not as long as announced is not stored.
func TestAppendSize(t *testing.T) {
	s := memory.New(memory.Options{})
	for _, size := range []int64{0, 2, 4} {
		_, err := s.Append(t.Context(), mail.Inbox, mail.Message{Size: size}, strings.NewReader("one"))
		var e *mail.Error
		if !errors.As(err, &e) {
			t.Errorf("Append of 3 octets with Size %d = %v, want a *mail.Error", size, err)
		}
	}
	if c, err := s.Changes(t.Context(), mail.Inbox, ""); err != nil || len(c.Messages) != 0 {
		t.Errorf("%d messages are stored, %v; want none", len(c.Messages), err)
	}
}
