package repo

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"roost/blob"
)

// at returns a time of 2026 in Central European Time.
func at(text string) time.Time {
	t, err := time.ParseInLocation("01-02 15:04", text, time.FixedZone("CET", 3600))
	if err != nil {
		panic(err)
	}
	return t.AddDate(2026, 0, 0)
}

// Rules keep what they say, count from the newest back, and give the reasons in restic's words.
func TestKeepRules(t *testing.T) {
	group := []string{"03-20 09:10", "03-20 09:05", "03-20 08:00", "03-19 23:30", "03-17 12:10", "03-10 12:00", "02-27 12:00", "01-31 12:00"}
	for _, tt := range []struct {
		name  string
		rules KeepRules
		want  map[string]string // time: reasons
	}{
		{"last", KeepRules{Last: 2}, map[string]string{"03-20 09:10": "last snapshot", "03-20 09:05": "last snapshot"}},
		{"hourly is the newest of an hour", KeepRules{Hourly: 2}, map[string]string{"03-20 09:10": "hourly snapshot", "03-20 08:00": "hourly snapshot"}},
		{"days without snapshots do not count", KeepRules{Daily: 3}, map[string]string{
			"03-20 09:10": "daily snapshot", "03-19 23:30": "daily snapshot", "03-17 12:10": "daily snapshot"}},
		{"weeks begin on Monday", KeepRules{Weekly: 2}, map[string]string{"03-20 09:10": "weekly snapshot", "03-10 12:00": "weekly snapshot"}},
		{"the oldest stays while there are counts left", KeepRules{Yearly: 5}, map[string]string{
			"03-20 09:10": "yearly snapshot", "01-31 12:00": "oldest yearly snapshot"}},
		{"and goes when there are none", KeepRules{Yearly: 1}, map[string]string{"03-20 09:10": "yearly snapshot"}},
		{"rules add up", KeepRules{Last: 1, Monthly: 2}, map[string]string{
			"03-20 09:10": "last snapshot, monthly snapshot", "02-27 12:00": "monthly snapshot"}},
		{"within counts from the newest, and its edge is out", KeepRules{Within: Span{Days: 2, Hours: 21}}, map[string]string{
			"03-20 09:10": "within 2d21h", "03-20 09:05": "within 2d21h", "03-20 08:00": "within 2d21h", "03-19 23:30": "within 2d21h"}},
		{"daily within has the same edge", KeepRules{WithinDaily: Span{Days: 2, Hours: 21}}, map[string]string{
			"03-20 09:10": "daily within 2d21h", "03-19 23:30": "daily within 2d21h"}},
		{"within a calendar month", KeepRules{WithinMonthly: Span{Months: 2}}, map[string]string{
			"03-20 09:10": "monthly within 2m", "02-27 12:00": "monthly within 2m", "01-31 12:00": "monthly within 2m"}},
		{"tags of one list", KeepRules{Tags: [][]string{{"a", "b"}, {"c"}}}, map[string]string{
			"03-17 12:10": "has tags [a, b]", "02-27 12:00": "has tags [c]"}},
		{"unlimited", KeepRules{Monthly: Unlimited}, map[string]string{
			"03-20 09:10": "monthly snapshot", "02-27 12:00": "monthly snapshot", "01-31 12:00": "monthly snapshot"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var list []*Snapshot
			for i, text := range group {
				list = append(list, &Snapshot{ID: ID{byte(i)}, Time: at(text)})
			}
			list[4].Tags, list[5].Tags, list[6].Tags = []string{"a", "x", "b"}, []string{"a"}, []string{"c"}
			rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			got := map[string]string{}
			for _, v := range tt.rules.Apply(list, at("12-31 00:00")) {
				if v.Keep {
					got[v.Snapshot.Time.Format("01-02 15:04")] = strings.Join(v.Reasons, ", ")
				}
			}
			if diff := gocmp.Diff(tt.want, got); diff != "" {
				t.Errorf("%+v keeps (-want +got):\n%s", tt.rules, diff)
			}
		})
	}
}

// A snapshot of the future moves no span: else a clock that ran ahead would make all others old.
func TestWithinIgnoresTheFuture(t *testing.T) {
	list := []*Snapshot{{ID: ID{1}, Time: at("12-01 00:00")}, {ID: ID{2}, Time: at("03-02 00:00")}, {ID: ID{3}, Time: at("03-01 00:00")}, {ID: ID{4}, Time: at("02-01 00:00")}}
	rules := KeepRules{Within: Span{Days: 7}}
	var kept []byte
	for _, v := range rules.Apply(list, at("03-03 00:00")) {
		if v.Keep {
			kept = append(kept, v.Snapshot.ID[0])
		}
	}
	if want := []byte{1, 2, 3}; !slices.Equal(kept, want) {
		t.Errorf("kept %v, want %v", kept, want)
	}
}

// Spans and counts are read as restic reads them, and nonsense is refused.
func TestParseSpanAndCount(t *testing.T) {
	for text, want := range map[string]Span{"": {}, "7d": {Days: 7}, "1y5m7d2h": {1, 5, 7, 2}, "2h1y": {Years: 1, Hours: 2}, " 3m ": {Months: 3}} {
		got, err := ParseSpan(text)
		if err != nil || got != want {
			t.Errorf("ParseSpan(%q) = %v, %v, want %v", text, got, err, want)
		}
		if again, err := ParseSpan(got.String()); err != nil || again != got {
			t.Errorf("ParseSpan(%q) = %v, %v, want %v", got.String(), again, err, got)
		}
	}
	for _, text := range []string{"7", "d", "-7d", "7w", "7d7d", "1y ", "99999999999999999999d", "200000y", "7 d", "٣d"} {
		if text == "1y " {
			continue // blanks at the ends are cut off
		}
		if got, err := ParseSpan(text); err == nil {
			t.Errorf("ParseSpan(%q) = %v, want an error", text, got)
		}
	}
	for text, want := range map[string]int{"0": 0, "12": 12, "unlimited": Unlimited, "-1": Unlimited} {
		if got, err := ParseCount(text); err != nil || got != want {
			t.Errorf("ParseCount(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-2", "many", "1.5"} {
		if got, err := ParseCount(text); err == nil {
			t.Errorf("ParseCount(%q) = %d, want an error", text, got)
		}
	}
	for text, want := range map[string]GroupBy{"": {}, "host,paths": {Host: true, Paths: true}, "tags,path": {Paths: true, Tags: true}} {
		got, err := ParseGroupBy(text)
		if err != nil || got != want {
			t.Errorf("ParseGroupBy(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	if _, err := ParseGroupBy("account"); err == nil {
		t.Error(`ParseGroupBy("account"): no error`)
	}
}

// version returns the version of restic, as in 14 for 0.14.0.
func (r restic) version(t *testing.T) int {
	t.Helper()
	var major, minor int
	if _, err := fmt.Sscanf(r.run(t, "version"), "restic %d.%d", &major, &minor); err != nil {
		t.Fatal(err)
	}
	return 1000*major + minor
}

// saveSnapshots stores snapshots of one tree as objects, with the times that they have.
func saveSnapshots(t *testing.T, r *Repo, list []*Snapshot) {
	t.Helper()
	err := r.Write(t.Context(), WriteOptions{}, func(ctx context.Context, s *Session) error {
		id, _, _, err := s.SaveTree(ctx, &Tree{})
		if err != nil {
			return err
		}
		if err := s.Flush(ctx); err != nil {
			return err
		}
		for _, sn := range list {
			sn.Tree = &id
			p, err := json.Marshal(sn)
			if err != nil {
				return err
			}
			if sn.ID, err = r.saveUnpacked(ctx, blob.Snapshot, p); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// randomSnapshots are some of two hosts and three accounts, in clusters and with gaps, in several time zones.
func randomSnapshots(rng *rand.Rand, n int) []*Snapshot {
	zones := []*time.Location{time.UTC, time.FixedZone("", 5*3600+1800), time.FixedZone("", -8*3600)}
	when := time.Now().Add(-time.Duration(rng.IntN(1000)) * time.Hour)
	var list []*Snapshot
	for range n {
		list = append(list, &Snapshot{Time: when.In(zones[rng.IntN(3)]).Truncate(time.Millisecond), Hostname: []string{"a", "b"}[rng.IntN(2)],
			Paths: []string{[]string{"/alice", "/bob", "/carol"}[rng.IntN(3)]},
			Tags:  [][]string{nil, {"x"}, {"x", "y"}, {"y", "z"}}[rng.IntN(4)]})
		step := []time.Duration{time.Minute, time.Hour, 24 * time.Hour, 20 * 24 * time.Hour, 200 * 24 * time.Hour}[rng.IntN(5)]
		when = when.Add(-time.Duration(1 + rng.Int64N(int64(step))))
	}
	return list
}

// randomRules are some rules, and the flags that say the same to restic.
func randomRules(rng *rand.Rand, unlimited string) (rules KeepRules, flags []string) {
	counts := []struct {
		flag string
		to   *int
	}{{"last", &rules.Last}, {"hourly", &rules.Hourly}, {"daily", &rules.Daily}, {"weekly", &rules.Weekly}, {"monthly", &rules.Monthly}, {"yearly", &rules.Yearly}}
	spans := []struct {
		flag string
		to   *Span
	}{{"within", &rules.Within}, {"within-hourly", &rules.WithinHourly}, {"within-daily", &rules.WithinDaily}, {"within-weekly", &rules.WithinWeekly},
		{"within-monthly", &rules.WithinMonthly}, {"within-yearly", &rules.WithinYearly}}
	for _, c := range counts {
		switch rng.IntN(8) {
		case 0, 1, 2:
			*c.to = 1 + rng.IntN(6)
			flags = append(flags, "--keep-"+c.flag, strconv.Itoa(*c.to))
		case 3:
			if rng.IntN(4) == 0 {
				*c.to = Unlimited
				flags = append(flags, "--keep-"+c.flag, unlimited)
			}
		}
	}
	for _, s := range spans {
		if rng.IntN(5) == 0 {
			*s.to = Span{Years: rng.IntN(2), Months: rng.IntN(4), Days: rng.IntN(20), Hours: 1 + rng.IntN(30)}
			flags = append(flags, "--keep-"+s.flag, s.to.String())
		}
	}
	if rng.IntN(4) == 0 {
		rules.Tags = [][]string{{"x", "y"}}
		flags = append(flags, "--keep-tag", "x,y")
	}
	if len(flags) == 0 {
		rules.Last, flags = 1, []string{"--keep-last", "1"}
	}
	return rules, flags
}

// On random snapshots, random rules keep what restic's forget keeps, for its reasons, in the same groups. Before 0.16, restic did not
// keep the oldest snapshot of a group for the sake of a count that is not used up; that reason is then left out.
func TestForgetKeepsWhatResticKeeps(t *testing.T) {
	t.Parallel()
	r, dir := newLocalRepo(t)
	oracle := newRestic(t, dir)
	keepsOldest := oracle.version(t) >= 16
	unlimited := "unlimited"
	if !keepsOldest {
		unlimited = "1000000"
	}
	const seed, sets, policies = 7, 3, 8
	rng := rand.New(rand.NewPCG(seed, seed))
	for set := range sets {
		list := randomSnapshots(rng, 20+rng.IntN(60))
		saveSnapshots(t, r, list)
		for range policies {
			rules, flags := randomRules(rng, unlimited)
			by := []GroupBy{{}, {Host: true, Paths: true}, {Paths: true}, {Tags: true}}[rng.IntN(4)]
			got := planned(t, r, &rules, by, keepsOldest)
			args := append([]string{"forget", "--no-lock", "--dry-run", "--json", "--group-by", by.String()}, flags...)
			out, err := oracle.try(t, args...)
			if err != nil {
				t.Fatalf("restic %v: %v\n%s", args, err, out)
			}
			if diff := gocmp.Diff(resticKeeps(t, out), got); diff != "" {
				t.Fatalf("set %d of seed %d: restic %s (-restic +roost):\n%s", set, seed, strings.Join(args, " "), diff)
			}
		}
	}
}

// planned returns what our plan keeps, by ID, with the sorted reasons, and "" for what goes.
func planned(t *testing.T, r *Repo, rules *KeepRules, by GroupBy, keepsOldest bool) map[string]string {
	t.Helper()
	policy := ForgetPolicy{Rules: func(*Snapshot) *KeepRules { return rules }, GroupBy: by, Now: time.Now()}
	report, err := r.Forget(t.Context(), policy.Plan, ForgetOptions{DryRun: true})
	if err != nil {
		t.Fatalf("Forget by %+v = %v", rules, err)
	}
	verdicts := map[string]string{}
	for _, g := range report.Groups {
		for _, v := range g.Verdicts {
			if !keepsOldest {
				v.Reasons = slices.DeleteFunc(v.Reasons, func(s string) bool { return strings.HasPrefix(s, "oldest ") })
			}
			slices.Sort(v.Reasons)
			verdicts[v.Snapshot.ID.Short()] = strings.Join(v.Reasons, ", ")
		}
	}
	return verdicts
}

// resticKeeps reads what restic forget --json says.
func resticKeeps(t *testing.T, out string) map[string]string {
	t.Helper()
	type snapshot struct {
		ShortID string    `json:"short_id"`
		Time    time.Time `json:"time"`
		Paths   []string  `json:"paths"`
	}
	var groups []struct {
		Keep, Remove []snapshot
		Reasons      []struct {
			Snapshot snapshot
			Matches  []string
		}
	}
	if err := json.Unmarshal([]byte(out[max(0, strings.Index(out, "[{")):]), &groups); err != nil {
		t.Fatalf("%v:\n%s", err, out)
	}
	verdicts := map[string]string{}
	for _, g := range groups {
		for i, sn := range g.Keep {
			slices.Sort(g.Reasons[i].Matches)
			verdicts[sn.ShortID] = strings.Join(g.Reasons[i].Matches, ", ")
		}
		for _, sn := range g.Remove {
			verdicts[sn.ShortID] = ""
		}
	}
	return verdicts
}
