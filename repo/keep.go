package repo

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// KeepRules say which snapshots of a group stay: all that at least one rule keeps. They are restic's --keep-* options, and keep
// exactly what those keep. The zero value keeps nothing, and nobody applies it by mistake: see PlanForget.
type KeepRules struct {
	Last                                   int // the newest so many; Unlimited is all of them
	Hourly, Daily, Weekly, Monthly, Yearly int // the newest of each of so many hours, days and so on in which there is one

	// What is younger than the span, counted back from the newest snapshot of the group that is not in the future.
	Within                                                               Span // all
	WithinHourly, WithinDaily, WithinWeekly, WithinMonthly, WithinYearly Span // the newest of each hour, day and so on

	Tags [][]string // snapshots that have all the tags of one of the lists
}

// IsEmpty reports whether there is no rule.
func (k *KeepRules) IsEmpty() bool {
	return len(k.Tags) == 0 && k.Within.IsZero() && len(k.slots(time.Time{})) == 0
}

// A Verdict is what rules say of a snapshot.
type Verdict struct {
	Snapshot *Snapshot
	Keep     bool
	Reasons  []string // why it is kept, in restic's words
}

// Apply judges the snapshots of one group, newest first. It changes nothing.
func (k *KeepRules) Apply(group []*Snapshot, now time.Time) []Verdict {
	group = slices.SortedFunc(slices.Values(group), func(a, b *Snapshot) int {
		return cmp.Or(b.Time.Compare(a.Time), slices.Compare(a.ID[:], b.ID[:]))
	})
	latest := latestBefore(group, now)
	slots := k.slots(latest)
	verdicts := make([]Verdict, len(group))
	for i, sn := range group {
		v := Verdict{Snapshot: sn}
		for _, tags := range k.Tags {
			if sn.HasTags(tags) {
				v.Reasons = append(v.Reasons, fmt.Sprintf("has tags [%s]", strings.Join(tags, ", ")))
			}
		}
		if !k.Within.IsZero() && sn.Time.After(k.Within.before(latest)) {
			v.Reasons = append(v.Reasons, "within "+k.Within.String())
		}
		for s := range slots {
			if reason := slots[s].keep(sn.Time, i, i == len(group)-1); reason != "" {
				v.Reasons = append(v.Reasons, reason)
			}
		}
		v.Keep = len(v.Reasons) > 0
		verdicts[i] = v
	}
	return verdicts
}

// latestBefore returns the time of the newest snapshot that is not in the future: a clock that ran ahead once must not make
// all others old.
func latestBefore(group []*Snapshot, now time.Time) (latest time.Time) {
	for _, sn := range group {
		if sn.Time.After(latest) && sn.Time.Before(now) {
			latest = sn.Time
		}
	}
	return latest
}

// A slotRule keeps the newest snapshot of each hour, day or the like.
type slotRule struct {
	reason  string
	of      func(t time.Time, n int) int // the slot of the n-th snapshot
	left    int                          // how many it may still keep; Unlimited
	since   time.Time                    // keep only what is younger; zero: any age
	last    int                          // the slot that it kept a snapshot of last
	started bool
}

// slots returns the rules that are in force, ready for a group whose newest snapshot is of the time latest.
func (k *KeepRules) slots(latest time.Time) []slotRule {
	var rules []slotRule
	for _, r := range []struct {
		name  string
		of    func(time.Time, int) int
		count int
		span  Span
	}{
		{"last", eachOne, k.Last, Span{}},
		{"hourly", hourOf, k.Hourly, k.WithinHourly},
		{"daily", dayOf, k.Daily, k.WithinDaily},
		{"weekly", weekOf, k.Weekly, k.WithinWeekly},
		{"monthly", monthOf, k.Monthly, k.WithinMonthly},
		{"yearly", yearOf, k.Yearly, k.WithinYearly},
	} {
		if r.count != 0 {
			rules = append(rules, slotRule{reason: r.name + " snapshot", of: r.of, left: r.count})
		}
		if !r.span.IsZero() {
			rules = append(rules, slotRule{reason: fmt.Sprintf("%s within %v", r.name, r.span), of: r.of, left: Unlimited, since: r.span.before(latest)})
		}
	}
	return rules
}

// keep returns why the rule keeps the n-th snapshot, "" if it does not. The oldest is kept while the rule may keep more, so that
// the history reaches back as far as it can.
func (s *slotRule) keep(t time.Time, n int, oldest bool) string {
	if s.left == 0 || !s.since.IsZero() && !t.After(s.since) {
		return ""
	}
	slot := s.of(t, n)
	again := s.started && slot == s.last
	if again && !oldest {
		return ""
	}
	s.last, s.started = slot, true
	if s.left > 0 {
		s.left--
	}
	if again {
		return "oldest " + s.reason
	}
	return s.reason
}

// Slots are counted on the calendar of the place where the snapshot was taken, which its time tells.

func eachOne(_ time.Time, n int) int { return n }
func hourOf(t time.Time, _ int) int  { return dayOf(t, 0)*100 + t.Hour() }
func dayOf(t time.Time, _ int) int   { return monthOf(t, 0)*100 + t.Day() }
func monthOf(t time.Time, _ int) int { return t.Year()*100 + int(t.Month()) }
func yearOf(t time.Time, _ int) int  { return t.Year() }

func weekOf(t time.Time, _ int) int {
	year, week := t.ISOWeek()
	return year*100 + week
}

// HasTags reports whether the snapshot has all of the tags. The empty tag is had by a snapshot without any.
func (sn *Snapshot) HasTags(tags []string) bool {
	for _, tag := range tags {
		if tag == "" && len(sn.Tags) == 0 {
			return true // as restic
		}
		if !slices.Contains(sn.Tags, tag) {
			return false
		}
	}
	return true
}
