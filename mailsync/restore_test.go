package mailsync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"roost/mail"
	"roost/plan"
	"roost/query"
	"roost/store/memory"
)

// odd is a store that treats messages in a way of its own.
type odd struct {
	*memory.Store
	take func(m *mail.Message, text string) error // called before each Append
}

func (o odd) Append(ctx context.Context, name mail.Name, m mail.Message, body io.Reader) (mail.Key, error) {
	text, err := io.ReadAll(body)
	if err != nil {
		return "", err
	}
	var loss *mail.Loss
	if err := o.take(&m, string(text)); err != nil && !errors.As(err, &loss) {
		return "", err
	}
	key, err := o.Store.Append(ctx, name, m, strings.NewReader(string(text)))
	if err == nil && loss != nil {
		err = loss
	}
	return key, err
}

func (o odd) AppendAll(ctx context.Context, name mail.Name, all iter.Seq[mail.Outgoing]) iter.Seq2[mail.Appended, error] {
	return func(yield func(mail.Appended, error) bool) {
		for m := range all {
			body, err := m.Open(ctx)
			if err != nil {
				yield(mail.Appended{}, err)
				return
			}
			key, err := o.Append(ctx, name, m.Message, body)
			body.Close()
			if err != nil && damageOf(err) == passing {
				yield(mail.Appended{}, err)
				return
			}
			if !yield(mail.Appended{Key: key, Err: err}, nil) {
				return
			}
		}
	}
}

func inbox(t *testing.T, n int) *memory.Store {
	t.Helper()
	s := memory.New(memory.Options{})
	for i := range n {
		put(t, s, mail.Inbox, letter(fmt.Sprint(i), "text"))
	}
	return s
}

// A message that is refused, one that breaks the connection each time, and one
// that the source cannot read stop nothing.
func TestOneMessageStopsNothing(t *testing.T) {
	tests := []struct {
		name string
		err  error
	}{
		{"refused", mail.ErrTooBig},
		{"breaks the connection", &mail.Error{Op: "append", Err: mail.ErrConnect}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				src := inbox(t, 20)
				dst := odd{memory.New(memory.Options{}), func(_ *mail.Message, text string) error {
					if strings.HasPrefix(text, "Subject: 7\r\n") {
						return tt.err
					}
					return nil
				}}
				report, err := Restore(t.Context(), src, dst, Options{InPlace: true, Now: epoch})
				if err != nil {
					t.Fatalf("Restore: %v", err)
				}
				row := report.Ledger.Rows[0]
				if row.New != 19 || row.Failed != 1 || row.Balance() != nil || len(row.Problems) != 1 || row.Problems[0].Key != "8" {
					t.Errorf("row = %+v, want 19 new and message 8 failed", row)
				}
				if n := len(messages(t, dst, mail.Inbox)); n != 19 {
					t.Errorf("destination holds %d messages, want 19", n)
				}
			})
		})
	}
}

// unreadable is a source of which some messages cannot be read.
type unreadable struct {
	*memory.Store
	errs map[mail.Key]error
}

func (u unreadable) Fetch(ctx context.Context, name mail.Name, keys []mail.Key, part mail.Part) iter.Seq2[mail.Fetched, error] {
	return func(yield func(mail.Fetched, error) bool) {
		for f, err := range u.Store.Fetch(ctx, name, keys, part) {
			if broken := u.errs[f.Key]; broken != nil {
				if errors.Is(broken, io.ErrUnexpectedEOF) { // the bytes break off
					f.Body = io.MultiReader(io.LimitReader(f.Body, 5), brokenReader{broken})
				} else {
					f, err = mail.Fetched{Key: f.Key}, &mail.Error{Op: "fetch", Mailbox: name, Key: f.Key, Err: broken}
				}
			}
			if !yield(f, err) {
				return
			}
		}
	}
}

type brokenReader struct{ err error }

func (b brokenReader) Read([]byte) (int, error) { return 0, b.err }

func TestSourceThatCannotBeRead(t *testing.T) {
	for _, there := range []int{0, 3} { // the destination is empty, or must be compared
		src := unreadable{inbox(t, 5), map[mail.Key]error{
			"1": io.ErrUnexpectedEOF, "2": errors.New("damaged"), "3": mail.ErrGone,
		}}
		dst := memory.New(memory.Options{})
		for i := range there {
			put(t, dst, mail.Inbox, letter(fmt.Sprint(10+i), "text"))
		}
		report, err := Restore(t.Context(), src, dst, Options{InPlace: true, Now: epoch})
		if err != nil {
			t.Fatalf("Restore: %v", err)
		}
		row := report.Ledger.Rows[0]
		if row.New != 2 || row.Failed != 2 || row.Gone != 1 || row.Balance() != nil || len(row.Problems) != 2 {
			t.Errorf("with %d there: row = %+v, want 2 new, 2 failed, 1 gone", there, row)
		}
		if n := len(messages(t, dst, mail.Inbox)); n != there+2 {
			t.Errorf("destination holds %d messages, want %d", n, there+2)
		}
	}
}

// What a store drops is reported, whether it says so or not, and flags that it
// takes only later are set later.
func TestLossIsReported(t *testing.T) {
	src := memory.New(memory.Options{})
	put(t, src, mail.Inbox, sample{"Subject: a\r\n\r\n", `\Flagged work`, day(3)})
	tests := []struct {
		name string
		take func(m *mail.Message, text string) error
		want []string
	}{
		{"says so", func(m *mail.Message, _ string) error {
			m.Flags = m.Flags.Minus("work")
			return &mail.Loss{Flags: "work"}
		}, []string{"not kept: flags work"}},
		{"drops silently", func(m *mail.Message, _ string) error {
			m.Flags = ""
			return nil
		}, nil},
		{"another date", func(m *mail.Message, _ string) error {
			m.InternalDate = day(0)
			return nil
		}, []string{"not kept: internal date"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dst := odd{memory.New(memory.Options{}), tt.take}
			report, err := Restore(t.Context(), src, dst, Options{InPlace: true, Now: epoch})
			if err != nil {
				t.Fatalf("Restore: %v", err)
			}
			var got []string
			for _, p := range report.Ledger.Problems() {
				if !p.Loss {
					t.Errorf("problem %+v is no loss", p)
				}
				got = append(got, p.Reason)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("losses (-want +got):\n%s", diff)
			}
			if m := messages(t, dst, mail.Inbox)[0]; tt.want == nil && m.flags != `\Flagged work` {
				t.Errorf("flags = %q, want those of the source, set afterwards", m.flags)
			}
		})
	}
}

// A server that expunges what is marked \Deleted at once must not look as if it
// held the message.
func TestAutoExpungeShows(t *testing.T) {
	src := memory.New(memory.Options{})
	put(t, src, mail.Inbox, sample{"Subject: a\r\n\r\n", `\Deleted`, day(3)}, letter("b", "b"))
	dst := autoExpunge{memory.New(memory.Options{})}
	report, err := Restore(t.Context(), src, dst, Options{InPlace: true, Now: epoch})
	if err != nil {
		t.Fatalf("Restore: %v", err)
	}
	row := report.Ledger.Rows[0]
	if row.New != 1 || row.Failed != 1 || len(row.Problems) != 1 || row.Problems[0].Reason != errDeleted.Error() {
		t.Errorf("row = %+v, want one message failed because it vanished", row)
	}
	report, err = Restore(t.Context(), src, dst, Options{InPlace: true, Now: epoch, StripDeleted: true})
	if err != nil || !report.Ledger.Complete() || report.Ledger.Rows[0].Altered != 1 {
		t.Errorf("Restore without the flag = %+v, %v, want it complete, one altered", report.Ledger, err)
	}
}

type autoExpunge struct{ *memory.Store }

func (a autoExpunge) Changes(ctx context.Context, name mail.Name, since mail.Token) (mail.Changes, error) {
	c, err := a.Store.Changes(ctx, name, since)
	if err != nil {
		return c, err
	}
	for _, m := range c.Messages {
		if m.Flags.Has(mail.Deleted) {
			if err := a.Expunge(ctx, name, []mail.Key{m.Key}); err != nil {
				return c, err
			}
		}
	}
	return a.Store.Changes(ctx, name, since)
}

// UIDs are kept in a mailbox that is new or empty, also if the run was cut
// short in between; and where each message went is told.
func TestKeepUIDs(t *testing.T) {
	src := inbox(t, 6)
	if err := src.Expunge(t.Context(), mail.Inbox, []mail.Key{"2", "4"}); err != nil {
		t.Fatal(err)
	}
	dst := memory.New(memory.Options{ID: "d"})
	o := Options{InPlace: true, KeepUIDs: true, Now: epoch}
	first := o
	first.MessageFilter = func(_ mail.Name, m *mail.Message) (string, bool) { return "later", m.UID > 3 }
	for _, o := range []Options{first, o} {
		var placed []string
		o.Placed = func(p Placed) { placed = append(placed, fmt.Sprintf("%d>%s %v", p.UID, p.ToKey, p.Known)) }
		report, err := Restore(t.Context(), src, dst, o)
		if err != nil || !report.Ledger.Complete() {
			t.Fatalf("Restore = %+v, %v", report, err)
		}
		want := []string{"1>1 false", "3>3 false"}
		if o.MessageFilter == nil {
			want = []string{"1>1 true", "3>3 true", "5>5 false", "6>6 false"}
		}
		if diff := cmp.Diff(want, placed); diff != "" {
			t.Errorf("placed (-want +got):\n%s", diff)
		}
	}
}

// By default everything goes below a new mailbox, called by the date; what is
// not selected is neither made nor missed.
func TestSelectionAndRoot(t *testing.T) {
	src := inbox(t, 2)
	put(t, src, "Work", sample{"Date: 1 Jan 2020 00:00:00 +0000\r\n\r\n", "", day(1)}, letter("b", "b"))
	put(t, src, "Empty")
	dst := memory.New(memory.Options{})
	report, err := Restore(t.Context(), src, dst, Options{Now: epoch, Select: query.Selection{
		Exclude: []string{"INBOX"}, Before: day(2), Date: query.ByHeader,
	}})
	if err != nil {
		t.Fatalf("Restore: %v", err)
	}
	want := map[mail.Name]map[string]int{
		"INBOX": {}, "Restored 2026-11-23 09.30": {},
		"Restored 2026-11-23 09.30/Work": {"Date: 1 Jan 2020 00:00:00 +0000\r\n\r\n": 1, "Subject: b\r\n\r\nb\r\n": 1},
	}
	if diff := cmp.Diff(want, contents(t, dst)); diff != "" {
		t.Errorf("destination (-want +got):\n%s", diff)
	}
	if row := report.Ledger.Total(); row.Listed != 2 || row.New != 2 || !report.Ledger.Complete() {
		t.Errorf("total = %+v, want 2 listed, 2 new", row)
	}
}

// refuser is a store that does not make some mailboxes.
type refuser struct{ *memory.Store }

func (r refuser) Create(ctx context.Context, name mail.Name) error {
	boxes, err := r.Mailboxes(ctx)
	if err != nil {
		return err
	}
	for _, box := range boxes {
		if strings.EqualFold(string(box.Name), string(name)) {
			return &mail.Error{Op: "create", Mailbox: name, Err: mail.ErrExist}
		}
	}
	if name == "Files" {
		return &mail.Error{Op: "create", Mailbox: name, Err: errors.New("reserved")}
	}
	return r.Store.Create(ctx, name)
}

func (r refuser) CreateRole(ctx context.Context, name mail.Name, _ mail.Role) error {
	return mail.ErrUnsupported
}

// Mailboxes are never thrown together, and the next run finds each again under
// the name that it got.
func TestRefusedNames(t *testing.T) {
	src := memory.New(memory.Options{})
	for _, name := range []mail.Name{"Files", "Work", "work"} {
		put(t, src, name, letter(string(name), "text"))
	}
	dst := refuser{memory.New(memory.Options{})}
	want := map[mail.Name]map[string]int{
		"INBOX": {}, "Files (2)": {"Subject: Files\r\n\r\ntext\r\n": 1},
		"Work": {"Subject: Work\r\n\r\ntext\r\n": 1}, "work (2)": {"Subject: work\r\n\r\ntext\r\n": 1},
	}
	for run := range 2 {
		report, err := Restore(t.Context(), src, dst, Options{InPlace: true, Now: epoch})
		if err != nil || !report.Ledger.Complete() {
			t.Fatalf("Restore = %+v, %v", report, err)
		}
		if diff := cmp.Diff(want, contents(t, dst)); diff != "" {
			t.Errorf("run %d: destination (-want +got):\n%s", run+1, diff)
		}
		if len(report.Remarks) != 2 {
			t.Errorf("run %d: remarks %q, want one for each mailbox with another name", run+1, report.Remarks)
		}
	}
}

// Large messages are streamed, in their turn, and arrive whole.
func TestLargeMessages(t *testing.T) {
	src := memory.New(memory.Options{})
	large := letter("large", strings.Repeat("0123456789abcdef0123456789abcdef\r\n", largeMessage/32))
	put(t, src, mail.Inbox, letter("a", "a"), large, letter("b", "b"), large)
	for _, lies := range []bool{false, true} { // sizes are listed too small
		dst := memory.New(memory.Options{})
		var from mail.Source = src
		if lies {
			from = liar{src}
		}
		report, err := Restore(t.Context(), from, dst, Options{InPlace: true, KeepUIDs: true, Now: epoch})
		if err != nil || !report.Ledger.Complete() {
			t.Fatalf("Restore = %+v, %v", report.Ledger, err)
		}
		if diff := cmp.Diff(contents(t, src), contents(t, dst)); diff != "" {
			t.Errorf("destination (-want +got):\n%.200s", diff)
		}
		if c, _ := dst.Changes(t.Context(), mail.Inbox, ""); c.Messages[1].Size < largeMessage {
			t.Errorf("the second message is not the large one: order was not kept")
		}
	}
}

type liar struct{ *memory.Store }

func (l liar) Changes(ctx context.Context, name mail.Name, since mail.Token) (mail.Changes, error) {
	c, err := l.Store.Changes(ctx, name, since)
	for i := range c.Messages {
		c.Messages[i].Size = 5
	}
	return c, err
}

// Under Copy everything is appended again, and only what was sent is looked for
// after a break.
func TestCopyAddsAgain(t *testing.T) {
	src := inbox(t, 10)
	synctest.Test(t, func(t *testing.T) {
		dst := &breaker{Store: memory.New(memory.Options{}), keys: true}
		for run := 1; run <= 2; run++ {
			dst.calls, dst.at, dst.after = 0, 5, true
			report, err := Restore(t.Context(), src, dst, Options{InPlace: true, Collisions: plan.Copy, Now: epoch})
			if err != nil || !report.Ledger.Complete() {
				t.Fatalf("Restore = %+v, %v", report.Ledger, err)
			}
			if n := len(messages(t, dst.Store, mail.Inbox)); n != 10*run {
				t.Errorf("after run %d destination holds %d messages, want %d", run, n, 10*run)
			}
		}
	})
}

// When the run is over for good, what was not done is failed, not forgotten.
func TestCancelledRunBalances(t *testing.T) {
	src := inbox(t, 50)
	put(t, src, "Work", letter("a", "a"))
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	dst := odd{memory.New(memory.Options{}), func(*mail.Message, string) error {
		if n++; n == 10 {
			cancel()
		}
		return nil
	}}
	report, err := Restore(ctx, src, dst, Options{InPlace: true, Parallel: 1, Now: epoch})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Restore = %v, want cancelled", err)
	}
	total := report.Ledger.Total()
	if total.Listed != 51 || total.Failed == 0 || total.Held+total.Failed != 51 || report.Ledger.Complete() {
		t.Errorf("total = %+v, want 51 listed, each held or failed", total)
	}
}

func BenchmarkRestore(b *testing.B) {
	src := memory.New(memory.Options{})
	text := "Subject: x\r\n\r\n" + strings.Repeat("words and more words\r\n", 100)
	for range 10000 {
		if _, err := src.Append(b.Context(), mail.Inbox, mail.Message{Size: -1, Flags: `\Seen`}, strings.NewReader(text)); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		dst := memory.New(memory.Options{})
		report, err := Restore(b.Context(), src, dst, Options{InPlace: true, Now: epoch})
		if err != nil || !report.Ledger.Complete() {
			b.Fatal(err)
		}
	}
}
