package repo

import (
	"errors"
	"strings"
	"testing"
	"time"

	"roost/blob"
	"roost/blob/blobtest"
)

// always are the same rules for all.
func always(rules KeepRules) func(*Snapshot) *KeepRules {
	return func(*Snapshot) *KeepRules { return &rules }
}

// Runs that fail in part do not push out good snapshots, however many they are; and what is held stays whatever the rules say.
func TestForgetSparesWholeAndHeld(t *testing.T) {
	now := at("06-01 00:00")
	var list []*Snapshot // newest first: 1 to 8, of which 5 and 7 are whole
	for i := range byte(8) {
		list = append(list, &Snapshot{ID: ID{i + 1}, Time: now.AddDate(0, 0, -int(i)-1), Paths: []string{"/alice"}})
	}
	whole := func(sn *Snapshot) bool { return sn.ID[0] == 5 || sn.ID[0] == 7 }
	for _, tt := range []struct {
		name  string
		rules KeepRules
		held  *Holds
		want  string
	}{
		{"the rules count whole ones by themselves", KeepRules{Last: 2}, &Holds{}, "1257"},
		{"the newest whole one stays", KeepRules{Last: 1}, &Holds{}, "15"},
		{"even where no rule is for it", KeepRules{Within: Span{Hours: 1}, Tags: [][]string{{"x"}}}, &Holds{}, "15"},
		{"a snapshot is held", KeepRules{Last: 1}, &Holds{List: []Hold{{Reason: "case"}}, byOrigin: map[ID]int{{8}: 0}}, "158"},
		{"an account is held", KeepRules{Last: 1}, &Holds{List: []Hold{{Reason: "case"}}, byPath: map[string]int{"/alice": 0}}, "12345678"},
	} {
		policy := ForgetPolicy{Rules: always(tt.rules), GroupBy: GroupBy{Paths: true}, Whole: whole, Now: now}
		groups, err := policy.Plan(list, tt.held)
		if err != nil || len(groups) != 1 {
			t.Errorf("%s: %d groups, %v", tt.name, len(groups), err)
			continue
		}
		var got strings.Builder
		for _, v := range groups[0].Verdicts {
			if v.Keep {
				got.WriteByte('0' + v.Snapshot.ID[0])
			}
		}
		if got.String() != tt.want {
			t.Errorf("%s: kept %s, want %s", tt.name, got.String(), tt.want)
		}
	}
	policy := ForgetPolicy{Rules: always(KeepRules{Tags: [][]string{{"nobodys"}}}), Whole: whole, Now: now}
	if _, err := policy.Plan(list, &Holds{}); !errors.Is(err, ErrRemoveAll) {
		t.Errorf("rules that keep nothing: %v, want ErrRemoveAll", err)
	}
}

// However snapshots are grouped, each account keeps its newest complete one: that of another is no comfort.
func TestForgetSparesTheLastOfEachAccount(t *testing.T) {
	now := at("06-01 00:00")
	var list []*Snapshot // newest first: 1 and 3 of bob, 2, 4 and 5 of alice, of which 2 is not whole
	for i := range byte(5) {
		name := "/bob"
		if i == 1 || i > 2 {
			name = "/alice"
		}
		list = append(list, &Snapshot{ID: ID{i + 1}, Time: now.AddDate(0, 0, -int(i)-1), Paths: []string{name}, Hostname: "h"})
	}
	whole := func(sn *Snapshot) bool { return sn.ID[0] != 2 }
	for _, by := range []GroupBy{{}, {Host: true}, {Tags: true}} {
		policy := ForgetPolicy{Rules: always(KeepRules{Last: 1}), GroupBy: by, Whole: whole, Now: now}
		groups, err := policy.Plan(list, &Holds{})
		if err != nil || len(groups) != 1 {
			t.Fatalf("%+v: %d groups, %v", by, len(groups), err)
		}
		var got strings.Builder
		for _, v := range groups[0].Verdicts {
			if v.Keep {
				got.WriteByte('0' + v.Snapshot.ID[0])
			}
		}
		if got.String() != "14" {
			t.Errorf("%+v: kept %s, want 1 of bob and 4 of alice", by, got.String())
		}
	}
}

// Forget, killed at any call, leaves what it did not remove, and the next run completes; it never removes what the rules keep.
func TestForgetCutShort(t *testing.T) {
	t.Parallel()
	r, first := newMemoryRepo(t)
	for n := range 4 {
		if err := backup(t.Context(), r, 0, 5+n); err != nil {
			t.Fatal(err)
		}
	}
	policy := ForgetPolicy{Rules: always(KeepRules{Last: 1}), Now: time.Now().Add(time.Hour)}
	forget := func(b blob.Bucket) error {
		r, err := Open(t.Context(), b, NewPassword(testPassword))
		if err == nil {
			_, err = r.Forget(t.Context(), policy.Plan, ForgetOptions{})
		}
		return err
	}
	atAnyCall(t, first, forget, func(t *testing.T, b *blobtest.Memory, err error) {
		holds(t, reopen(t, b), 0, 8)
		if err := forget(b); err != nil {
			t.Fatalf("the next run: %v", err)
		}
		if n := count(t, b)[blob.Snapshot]; n != 1 {
			t.Errorf("%d snapshots are left, want 1", n)
		}
		mustCheck(t, b)
	})
}
