package mailsync

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"roost/mail"
	"roost/plan"
	"roost/store/memory"
)

// Of equal messages, some answered without a key, those that did not arrive are
// sent again, and no more.
func TestEqualMessagesAfterABreak(t *testing.T) {
	src := memory.New(memory.Options{})
	for range 12 {
		put(t, src, mail.Inbox, letter("a", "a"))
	}
	for at := 1; at <= 12; at++ {
		for _, after := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				dst := &breaker{Store: memory.New(memory.Options{}), keys: true, at: at, after: after}
				report, err := Restore(t.Context(), src, dst, Options{InPlace: true, Now: epoch})
				if err != nil || !report.Ledger.Complete() {
					t.Fatalf("cut %d after %v: Restore = %+v, %v", at, after, report.Ledger, err)
				}
				if n := len(messages(t, dst.Store, mail.Inbox)); n != 12 {
					t.Errorf("cut %d after %v: destination holds %d messages, want 12", at, after, n)
				}
			})
		}
	}
}

// A message whose new copy is refused stays, without the mark, and is held.
func TestReplacementRefused(t *testing.T) {
	src := memory.New(memory.Options{})
	put(t, src, mail.Inbox, sample{"Subject: a\r\n\r\n", `\Seen`, day(3)}, sample{"Subject: b\r\n\r\n", `\Seen`, day(3)})
	dst := odd{memory.New(memory.Options{}), func(_ *mail.Message, text string) error {
		if strings.HasPrefix(text, "Subject: a") {
			return mail.ErrTooBig
		}
		return nil
	}}
	put(t, dst.Store, mail.Inbox, sample{"Subject: a\r\n\r\n", "", day(5)}, sample{"Subject: b\r\n\r\n", "", day(5)})
	report, err := Restore(t.Context(), src, dst, Options{InPlace: true, Collisions: plan.Replace, Now: epoch})
	if err != nil {
		t.Fatalf("Restore: %v", err)
	}
	row := report.Ledger.Rows[0]
	if row.Held != 2 || row.Changed != 1 || row.Failed != 0 || len(row.Problems) != 1 || row.Complete() {
		t.Errorf("row = %+v, want two held, one changed, one problem", row)
	}
	want := sorted([]sample{{"Subject: a\r\n\r\n", "", day(5)}, {"Subject: b\r\n\r\n", `\Seen`, day(3)}})
	if diff := cmp.Diff(want, sorted(messages(t, dst, mail.Inbox))); diff != "" {
		t.Errorf("destination (-want +got):\n%s", diff)
	}
}

// slow is a source that takes a second to list one mailbox.
type slow struct {
	*memory.Store
	name mail.Name
}

func (s slow) Changes(ctx context.Context, name mail.Name, since mail.Token) (mail.Changes, error) {
	if name == s.name {
		<-time.After(time.Second)
	}
	return s.Store.Changes(ctx, name, since)
}

// Which name a mailbox gets does not depend on which is listed first.
func TestNamesDoNotDependOnSpeed(t *testing.T) {
	src := memory.New(memory.Options{})
	put(t, src, "Work", letter("upper", "a"))
	put(t, src, "work", letter("lower", "b"))
	for _, late := range []mail.Name{"Work", "work"} {
		synctest.Test(t, func(t *testing.T) {
			dst := refuser{memory.New(memory.Options{})}
			if _, err := Restore(t.Context(), slow{src, late}, dst, Options{InPlace: true, Now: epoch}); err != nil {
				t.Fatal(err)
			}
			want := map[mail.Name]map[string]int{
				"INBOX": {}, "Work": {"Subject: upper\r\n\r\na\r\n": 1}, "work (2)": {"Subject: lower\r\n\r\nb\r\n": 1},
			}
			if diff := cmp.Diff(want, contents(t, dst)); diff != "" {
				t.Errorf("with %s listed late: destination (-want +got):\n%s", late, diff)
			}
		})
	}
}
