package maildir

import (
	"bufio"
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"roost/mail"
	"roost/peer"
	"roost/repo"
)

// dovecot is a running Dovecot, an IMAP session of alice's, and a Store over
// the same Maildir.
type dovecot struct {
	*peer.DovecotServer
	t     *testing.T
	store *Store
	conn  net.Conn
	lines *bufio.Reader
}

func startDovecot(t *testing.T, o peer.DovecotOptions, options Options) *dovecot {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a server")
	}
	d := &dovecot{DovecotServer: peer.Dovecot(t, o), t: t}
	d.login()
	d.imap("SELECT INBOX") // makes the Maildir
	d.store = openStore(t, d.Mail("alice"), options)
	t.Cleanup(d.checkLog)
	return d
}

func (d *dovecot) login() {
	d.t.Helper()
	conn, err := net.Dial("tcp", d.IMAPAddr)
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { conn.Close() })
	d.conn, d.lines = conn, bufio.NewReader(conn)
	d.imap("LOGIN alice " + peer.Password)
}

// imap sends a command, with literals that do not wait, and wants OK.
func (d *dovecot) imap(command string) {
	d.t.Helper()
	if _, err := fmt.Fprintf(d.conn, "t %s\r\n", command); err != nil {
		d.t.Fatal(err)
	}
	for {
		line, err := d.lines.ReadString('\n')
		if err != nil {
			d.t.Fatalf("%s: %v", command, err)
		}
		if answer, ok := strings.CutPrefix(line, "t "); ok {
			if !strings.HasPrefix(answer, "OK") {
				d.t.Fatalf("%.100s answered %s", command, answer)
			}
			return
		}
	}
}

func (d *dovecot) append(mailbox, flags string, raw []byte) {
	d.t.Helper()
	d.imap(fmt.Sprintf("APPEND %q (%s) \"13-Dec-2011 14:15:16 +0000\" {%d+}\r\n%s", mailbox, flags, len(raw), raw))
}

// checkLog fails the test if Dovecot found anything to complain about.
func (d *dovecot) checkLog() {
	text, err := os.ReadFile(filepath.Join(d.Dir, "dovecot.log"))
	if err != nil {
		d.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		for _, word := range []string{"Error:", "Warning:", "Panic:", "Fatal:"} {
			if strings.Contains(line, word) && strings.Contains(line, "imap(") {
				d.t.Errorf("dovecot says: %s", line)
			}
		}
	}
}

// view is what both sides must say of a message.
type view struct {
	UID   uint32
	GUID  string
	Flags mail.Flags
	Size  int64
	Date  int64
}

func (d *dovecot) dovecotView(mailbox string) []view {
	d.t.Helper()
	text := d.Doveadm(d.t, "-f", "tab", "fetch", "-u", "alice", "uid guid flags size.physical date.received.unixtime", "mailbox", mailbox)
	var all []view
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		f := strings.Split(line, "\t")
		if i == 0 || len(f) != 5 {
			continue
		}
		number := func(s string) int64 {
			n, err := strconv.ParseInt(s, 10, 64)
			if err != nil {
				d.t.Fatalf("doveadm fetch: %q: %v", line, err)
			}
			return n
		}
		all = append(all, view{uint32(number(f[0])), f[1], mail.FlagsOf(strings.Fields(f[2])...), number(f[3]), number(f[4])})
	}
	return all
}

func (d *dovecot) storeView(name mail.Name) []view {
	d.t.Helper()
	ch, err := d.store.Changes(d.t.Context(), name, "")
	if err != nil {
		d.t.Fatalf("Changes(%q) = %v", name, err)
	}
	var all []view
	for _, m := range ch.Messages {
		all = append(all, view{m.UID, m.GUID, m.Flags, m.Size, m.InternalDate.Unix()})
	}
	return all
}

// wantSame says that both see the same n messages.
func (d *dovecot) wantSame(mailbox string, name mail.Name, n int, after string) {
	d.t.Helper()
	theirs, ours := d.dovecotView(mailbox), d.storeView(name)
	if diff := gocmp.Diff(theirs, ours); diff != "" {
		d.t.Errorf("after %s, %s differs (-Dovecot +Store):\n%s", after, name, diff)
	}
	if len(ours) != n {
		d.t.Errorf("after %s, %s holds %d messages, want %d", after, name, len(ours), n)
	}
}

func (d *dovecot) keys(name mail.Name) []mail.Key {
	d.t.Helper()
	ch, err := d.store.Changes(d.t.Context(), name, "")
	if err != nil {
		d.t.Fatal(err)
	}
	var keys []mail.Key
	for _, m := range ch.Messages {
		keys = append(keys, m.Key)
	}
	return keys
}

func (d *dovecot) must(what string, err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatalf("%s = %v, want nil", what, err)
	}
}

func mailText(subject string) []byte {
	return fmt.Appendf(nil, "From: alice@example.com\r\nSubject: %s\r\n\r\nHello.\r\n", subject)
}

func (d *dovecot) storeAppend(name mail.Name, subject string, flags mail.Flags) mail.Key {
	d.t.Helper()
	raw := mailText(subject)
	m := mail.Message{Flags: flags, InternalDate: time.Date(2012, 1, 2, 3, 4, 5, 0, time.UTC), Size: int64(len(raw))}
	key, err := d.store.Append(d.t.Context(), name, m, bytes.NewReader(raw))
	d.must("Append", err)
	return key
}

// After each act of either side, both see the same UIDs, GUIDs, flags, keywords, sizes and dates.
func TestBesideDovecot(t *testing.T) {
	for _, layout := range []string{"", "fs"} {
		t.Run("layout "+cmp.Or(layout, "Maildir++"), func(t *testing.T) {
			besideDovecot(startDovecot(t, peer.DovecotOptions{Layout: layout}, Options{FS: layout == "fs"}))
		})
	}
}

func besideDovecot(d *dovecot) {
	t, ctx := d.t, d.t.Context()
	for i := range 3 {
		d.append("INBOX", `\Seen Work`, mailText(fmt.Sprint("by Dovecot ", i)))
	}
	d.wantSame("INBOX", mail.Inbox, 3, "IMAP APPEND")
	d.storeAppend(mail.Inbox, "by us", mail.FlagsOf(mail.Flagged, "Work", "Play"))
	d.wantSame("INBOX", mail.Inbox, 4, "Append")
	keys := d.keys(mail.Inbox)
	d.must("SetFlags", d.store.SetFlags(ctx, mail.Inbox, keys[:2], mail.FlagsOf(mail.Deleted, "$Forwarded"), mail.FlagsOf("Work")))
	d.wantSame("INBOX", mail.Inbox, 4, "SetFlags")
	d.Doveadm(t, "flags", "add", "-u", "alice", `\Draft Third`, "mailbox", "INBOX", "uid", "4")
	d.Doveadm(t, "flags", "remove", "-u", "alice", `$Forwarded \Seen`, "mailbox", "INBOX", "uid", "1")
	d.wantSame("INBOX", mail.Inbox, 4, "doveadm flags")
	d.must("Expunge", d.store.Expunge(ctx, mail.Inbox, keys[1:2]))
	d.wantSame("INBOX", mail.Inbox, 3, "Expunge")
	d.Doveadm(t, "expunge", "-u", "alice", "mailbox", "INBOX", "uid", "1")
	d.wantSame("INBOX", mail.Inbox, 2, "doveadm expunge")
	d.storeAppend(mail.Inbox, "later", "")
	d.append("INBOX", "", mailText("last"))
	d.wantSame("INBOX", mail.Inbox, 4, "appends of both")

	d.imap("CREATE Entw&APw-rfe/x")
	d.append("Entw&APw-rfe/x", "Other", mailText("there"))
	d.must("Create", d.store.Create(ctx, "von uns/R&D"))
	moved, err := d.store.Move(ctx, mail.Inbox, d.keys(mail.Inbox)[:2], "Entwürfe/x")
	d.must("Move", err)
	d.wantSame("Entwürfe/x", "Entwürfe/x", 3, "Move")
	d.wantSame("INBOX", mail.Inbox, 2, "Move")
	_, err = d.store.Move(ctx, "Entwürfe/x", moved, mail.Inbox) // their names are in the uidlist still
	d.must("Move back", err)
	d.wantSame("INBOX", mail.Inbox, 4, "Move back")
	d.must("Subscribe", d.store.Subscribe(ctx, "von uns/R&D", true))
	d.imap("SUBSCRIBE Entw&APw-rfe/x")
	d.sameMailboxes()
	d.must("Rename", d.store.Rename(ctx, "Entwürfe", "Drafts2"))
	d.wantSame("Drafts2/x", "Drafts2/x", 1, "Rename")
	d.must("Delete", d.store.Delete(ctx, "von uns/R&D"))
	d.sameMailboxes()
}

// sameMailboxes says that both list the same mailboxes, with the same IDs, and the same subscriptions.
func (d *dovecot) sameMailboxes() {
	d.t.Helper()
	list, err := d.store.Mailboxes(d.t.Context())
	d.must("Mailboxes", err)
	var ours, oursSubscribed []string
	for _, m := range list {
		if m.Subscribed {
			oursSubscribed = append(oursSubscribed, string(m.Name))
		}
		if m.Err != nil || m.NoSelect {
			continue
		}
		ours = append(ours, string(m.Name))
		status := d.Doveadm(d.t, "-f", "tab", "mailbox", "status", "-u", "alice", "guid uidvalidity uidnext", string(m.Name))
		want := fmt.Sprintf("%s\t%d\t%d\t%s", m.Name, m.UIDValidity, m.UIDNext, m.ID)
		theirs := strings.Split(strings.TrimSpace(status), "\n")
		if m.ID != "" && !sameFields(theirs[len(theirs)-1], want) {
			d.t.Errorf("status of %s is %q, ours %q", m.Name, theirs[len(theirs)-1], want)
		}
	}
	theirs := func(args ...string) []string {
		var names []string
		for name := range strings.Lines(d.Doveadm(d.t, append([]string{"mailbox", "list", "-u", "alice"}, args...)...)) {
			name = strings.TrimSuffix(name, "\n")
			if _, err := d.store.find(mail.Name(name)); err == nil { // not those that Dovecot would make when asked
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return names
	}
	if diff := gocmp.Diff(theirs(), ours); diff != "" {
		d.t.Errorf("mailboxes differ (-Dovecot +Store):\n%s", diff)
	}
	if diff := gocmp.Diff(theirs("-s"), oursSubscribed); diff != "" {
		d.t.Errorf("subscriptions differ (-Dovecot +Store):\n%s", diff)
	}
}

func sameFields(a, b string) bool {
	f, g := strings.Fields(a), strings.Fields(b)
	slices.Sort(f)
	slices.Sort(g)
	return slices.Equal(f, g)
}

// UIDs and UIDVALIDITY that a restore keeps are what Dovecot shows.
func TestNumberBesideDovecot(t *testing.T) {
	d := startDovecot(t, peer.DovecotOptions{}, Options{})
	d.must("Create", d.store.Create(t.Context(), "kept"))
	d.must("Number", d.store.Number(t.Context(), "kept", 4711, 900))
	for _, uid := range []uint32{7, 12, 800} {
		raw := mailText(fmt.Sprint(uid))
		_, err := d.store.Append(t.Context(), "kept", mail.Message{UID: uid, Flags: "Work", Size: int64(len(raw))}, bytes.NewReader(raw))
		d.must("Append", err)
	}
	d.wantSame("kept", "kept", 3, "Append with UIDs")
	status := d.Doveadm(t, "mailbox", "status", "-u", "alice", "uidvalidity uidnext", "kept")
	if !strings.Contains(status, "uidvalidity=4711") || !strings.Contains(status, "uidnext=900") {
		t.Errorf("doveadm mailbox status = %q, want UIDVALIDITY 4711 and UIDNEXT 900", status)
	}
	var uids []uint32
	for _, v := range d.dovecotView("kept") {
		uids = append(uids, v.UID)
	}
	if !slices.Equal(uids, []uint32{7, 12, 800}) {
		t.Errorf("Dovecot shows UIDs %d, want 7, 12, 800", uids)
	}
	d.append("kept", "", mailText("next"))
	d.wantSame("kept", "kept", 4, "IMAP APPEND")
}

// Both append at the same time, with keywords that are new to both; nothing is
// lost, no UID is given twice, and Dovecot finds nothing to repair.
func TestConcurrentWithDovecot(t *testing.T) {
	d := startDovecot(t, peer.DovecotOptions{}, Options{NoSync: true})
	const each = 40
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range each {
			raw := mailText(fmt.Sprint("ours ", i))
			m := mail.Message{Flags: mail.FlagsOf(fmt.Sprintf("ours%d", i%5)), Size: int64(len(raw))}
			key, err := d.store.Append(t.Context(), mail.Inbox, m, bytes.NewReader(raw))
			if err == nil {
				err = d.store.SetFlags(t.Context(), mail.Inbox, []mail.Key{key}, mail.Seen, "")
			}
			if err != nil {
				t.Errorf("Append %d = %v, want nil", i, err)
				return
			}
		}
	})
	wg.Go(func() {
		for i := range each {
			if ch, err := d.store.Changes(t.Context(), mail.Inbox, ""); err != nil || len(ch.Failed) > 0 {
				t.Errorf("Changes %d = %v, %v", i, err, ch.Failed)
				return
			}
		}
	})
	for i := range each {
		d.append("INBOX", fmt.Sprintf("theirs%d", i%5), mailText(fmt.Sprint("theirs ", i)))
		d.imap(`STORE 1:* +FLAGS.SILENT (\Flagged)`)
	}
	wg.Wait()
	d.imap(`STORE 1:* +FLAGS.SILENT (\Flagged)`)
	d.imap("NOOP")
	d.imap(`STORE 1:* +FLAGS.SILENT (\Flagged)`)
	d.wantSame("INBOX", mail.Inbox, 2*each, "appends of both at once")
	for _, v := range d.storeView(mail.Inbox) {
		if v.UID == 0 || !v.Flags.Has(mail.Flagged) || v.Flags.Len() < 2 {
			t.Errorf("message %+v has no UID, or lost a flag", v)
		}
	}
}

// What Dovecot compressed reads as it was; without a decoder for it, that is said of the message.
func TestDovecotCompression(t *testing.T) {
	raw := append(mailText("compressed"), bytes.Repeat([]byte("again and again\r\n"), 2000)...)
	want := bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))
	for _, tt := range []struct {
		name, method string
		options      Options
		refused      bool
	}{
		{"gz", "gz", Options{}, false},
		{"bz2", "bz2", Options{}, false},
		{"zstd", "zstd", Options{Zstd: repo.Zstd}, false},
		{"zstd at a high level", "zstd\n zlib_save_level = 15", Options{Zstd: repo.Zstd}, false},
		{"zstd without a decoder", "zstd", Options{}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := startDovecot(t, peer.DovecotOptions{Extra: "plugin {\n zlib_save = " + tt.method + "\n}\n"}, tt.options)
			d.append("INBOX", "", raw)
			d.wantSame("INBOX", mail.Inbox, 1, "a compressed APPEND")
			for f, err := range d.store.Fetch(t.Context(), mail.Inbox, d.keys(mail.Inbox), mail.Whole) {
				if tt.refused {
					if _, one := mail.KeyOf(err); !one || !errors.Is(err, mail.ErrUnsupported) {
						t.Errorf("Fetch without a decoder = %v, want %v of that message", err, mail.ErrUnsupported)
					}
					continue
				}
				d.must("Fetch", err)
				got, err := io.ReadAll(f.Body)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("Fetch yields %d octets, %v; want %d", len(got), err, len(want))
				}
			}
			for f, err := range d.store.Fetch(t.Context(), mail.Inbox, d.keys(mail.Inbox), mail.Header) {
				if tt.refused {
					continue
				}
				d.must("Fetch of the header", err)
				if got, err := io.ReadAll(f.Body); err != nil || !bytes.HasPrefix(want, got) || !bytes.HasSuffix(got, []byte("\n\n")) {
					t.Errorf("Fetch yields the header %q, %v", got, err)
				}
			}
		})
	}
}

// What is compressed is read up to a bound and no further, and an end before its own is no message.
func TestExpanded(t *testing.T) {
	for _, tt := range []struct {
		text string
		left int64
		want error
	}{{"", 3, nil}, {"abc", 4, nil}, {"abc", 3, nil}, {"abcd", 3, mail.ErrTooBig}} {
		got, err := io.ReadAll(&expanded{iotest.OneByteReader(strings.NewReader(tt.text)), tt.left})
		if !errors.Is(err, tt.want) || int64(len(got)) != min(int64(len(tt.text)), tt.left) {
			t.Errorf("of %q, %d octets read %q, %v, want %v", tt.text, tt.left, got, err, tt.want)
		}
	}
}
