package mail

import (
	"fmt"
	"time"
)

// Ledger is the account of one run: a row for each mailbox. A run is complete
// if, and only if, each row balances and none has failures.
type Ledger struct {
	Rows []Row `json:"rows"`
}

// Row is one mailbox in a ledger. Counts are messages.
type Row struct {
	Mailbox Name   `json:"mailbox"`
	Server  int64  `json:"server"` // what the source says it holds; -1: it does not say
	Listed  int64  `json:"listed"` // what was listed, with what was known to be unchanged
	Method  string `json:"method"` // how it was listed: "unchanged", "qresync", "condstore", "fetch", "scan", ...

	// Listed is the sum of these five.
	Held     int64 `json:"held"`     // stored now
	Failed   int64 `json:"failed"`   // could not be read or stored; each has a Problem
	Excluded int64 `json:"excluded"` // left out by a rule of the user
	Gone     int64 `json:"gone"`     // listed, but vanished before it could be read
	Erased   int64 `json:"erased"`   // erased from the backup by the user, and so not stored again

	// Uncounted says that a rule left out messages without looking, so that nobody knows how many: Excluded and Listed lack them.
	Uncounted bool `json:"uncounted,omitempty"`

	// What the run did; for the reader, not for the sum.
	New      int64 `json:"new"`      // stored for the first time in this mailbox
	Known    int64 `json:"known"`    // recognised by identity, so not transferred; in a backup part of New, in a restore beside it
	Changed  int64 `json:"changed"`  // flags or keywords changed
	Vanished int64 `json:"vanished"` // held last time, expunged at the source since
	Altered  int64 `json:"altered"`  // stored otherwise than it was, by a rule of the user
	Bytes    int64 `json:"bytes"`    // octets transferred

	Problems []Problem `json:"problems,omitempty"`
}

// Problem is a message, or a mailbox, that was not done, and why.
type Problem struct {
	Mailbox Name      `json:"mailbox"`
	Key     Key       `json:"key,omitempty"` // "": the whole mailbox
	Reason  string    `json:"reason"`
	Since   time.Time `json:"since"`          // when it failed first
	Tries   int       `json:"tries"`          // runs that tried it
	Loss    bool      `json:"loss,omitempty"` // stored, but not all that was said of it; not counted as failed
}

// Balance is nil if the row sums up, and else says by how much it does not.
func (r *Row) Balance() error {
	if sum := r.Held + r.Failed + r.Excluded + r.Gone + r.Erased; sum != r.Listed {
		return fmt.Errorf("%s does not balance: %d listed, but %d held + %d failed + %d excluded + %d gone + %d erased = %d",
			r.Mailbox, r.Listed, r.Held, r.Failed, r.Excluded, r.Gone, r.Erased, sum)
	}
	if r.Server >= 0 && r.Server != r.Listed {
		return fmt.Errorf("%s does not balance: the source says %d messages, %d were listed", r.Mailbox, r.Server, r.Listed)
	}
	return nil
}

// Complete reports whether nothing is missing from the row.
func (r *Row) Complete() bool {
	if r.Failed != 0 || r.Balance() != nil {
		return false
	}
	for _, p := range r.Problems {
		if !p.Loss {
			return false
		}
	}
	return true
}

// Total is the sum of all rows; its Server is -1 if one row's is.
func (l *Ledger) Total() Row {
	var t Row
	for i := range l.Rows {
		r := &l.Rows[i]
		if r.Server < 0 || t.Server < 0 {
			t.Server = -1
		} else {
			t.Server += r.Server
		}
		t.Listed += r.Listed
		t.Held += r.Held
		t.Failed += r.Failed
		t.Excluded += r.Excluded
		t.Gone += r.Gone
		t.Erased += r.Erased
		t.Uncounted = t.Uncounted || r.Uncounted
		t.New += r.New
		t.Known += r.Known
		t.Changed += r.Changed
		t.Vanished += r.Vanished
		t.Altered += r.Altered
		t.Bytes += r.Bytes
	}
	return t
}

// Complete reports whether every row is.
func (l *Ledger) Complete() bool {
	for i := range l.Rows {
		if !l.Rows[i].Complete() {
			return false
		}
	}
	return true
}

// Problems are the problems of all rows.
func (l *Ledger) Problems() []Problem {
	var all []Problem
	for i := range l.Rows {
		all = append(all, l.Rows[i].Problems...)
	}
	return all
}
