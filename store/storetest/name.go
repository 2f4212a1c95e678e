package storetest

import (
	"strings"

	"roost/mail"
)

func nameChecks() []check {
	all := []check{
		{"names that differ only in case are two mailboxes", caseOfNames},
		{"INBOX is the same in any case, its like below it is not", inboxNames},
	}
	for _, n := range uglyNames() {
		all = append(all, check{"mailbox name with " + n.what, func(c *trial) { uglyName(c, n.components) }})
	}
	return all
}

type namedComponents struct {
	what       string
	components []string
}

// uglyNames are names that servers and users have been seen to have, and those
// that would harm a store that takes names for paths.
func uglyNames() []namedComponents {
	one := func(what, name string) namedComponents { return namedComponents{what, []string{name}} }
	return []namedComponents{
		one("a slash inside", "a/b"),
		one("a slash at its end", "end/"),
		one("a dot inside", "www.example.com"),
		one("a leading dot", ".hidden"),
		one("a trailing dot", "end."),
		one("one dot", "."),
		one("two dots", ".."),
		{"a way out", []string{"..", "..", "etc", "passwd"}},
		one("a way out in one component", "../../etc/passwd"),
		one("an absolute path", "/etc/passwd"),
		one("a percent sign", "100%"),
		one("a percent sign before a space", "50% off"),
		one("what looks like an escape", "a%2Fb"),
		one("what looks like an escape of a dot", "a%2eb"),
		one("what looks like an escaped percent sign", "a%252Fb"),
		one("a backslash", `a\b`),
		one("quotes", `say "hi" 'there'`),
		one("wildcards", "a*b?c[d]"),
		one("a colon and a comma", "a:2,S"),
		one("a tab", "a\tb"),
		one("a line end", "a\r\nb"),
		one("a NUL", "a\x00b"),
		one("control characters", "a\x01\x1b[31m\x7fb"),
		one("bytes that are not UTF-8", "a\xff\xfeb"),
		one("Latin-1", "Entw\xfcrfe"),
		one("umlauts", "Entwürfe"),
		one("a composed letter", "caf\u00e9"),
		one("a decomposed letter", "cafe\u0301"),
		one("Chinese", "收件箱"),
		one("right to left", "دعوة עברית"),
		one("a right-to-left override", "a\u202egnp.exe"),
		one("an emoji", "🐓 roost"),
		one("an emoji of many code points", "👩‍👩‍👧‍👦"),
		one("a zero-width space", "a\u200bb"),
		one("an ampersand", "R&D"),
		one("an ampersand at its end", "R&"),
		one("what looks like modified UTF-7", "&AOQ-"),
		one("what looks like broken modified UTF-7", "&&-&AB-&A"),
		one("an ampersand and an umlaut", "Ö&Ä"),
		one("a leading space", " x"),
		one("a trailing space", "x "),
		one("only a space", " "),
		one("a tilde", "~"),
		one("a tilde and a user", "~root"),
		one("a minus", "-rf"),
		one("the length of 255 octets", strings.Repeat("n", 255)),
		{"twenty levels", strings.Split(strings.Repeat("d/", 19)+"d", "/")},
		{"an empty component inside", []string{"a", "", "b"}},
		{"an empty component first", []string{"", "a"}},
		{"an empty component last", []string{"a", ""}},
		one("the name of a Maildir's directory", "cur"),
		{"names of a Maildir's directories", []string{"new", "tmp"}},
		one("the name of a Dovecot file", "dovecot-uidlist"),
		one("the name of a subscription file", "subscriptions"),
		one("the name of a device", "NUL"),
		{"INBOX below another", []string{"a", "INBOX"}},
		{"a level below INBOX", []string{"INBOX", "sub"}},
		one("INBOX and more", "INBOX2"),
	}
}

func uglyName(c *trial, components []string) {
	name := mail.NameOf(components...)
	before := c.mailboxes()
	if c.RefusesName != nil && c.RefusesName(name) {
		if err := c.store.Create(c.Context(), name); err == nil {
			c.Errorf("Create(%q) = nil, want an error: the store is said to refuse that name", name)
		}
		return
	}
	key := c.fill(name, "in it")[0]
	after := c.mailboxes()
	if _, listed := after[name]; !listed {
		c.Errorf("Mailboxes() does not list %q but %q", name, newNames(before, after))
	}
	for other := range after {
		if _, old := before[other]; !old && other != name && !name.Below(other) {
			c.Errorf("Create(%q) also made %q", name, other)
		}
	}
	c.wantSubjects(name, "in it")
	if err := c.store.SetFlags(c.Context(), name, []mail.Key{key}, mail.Seen, ""); err != nil {
		c.Errorf("SetFlags in %q = %v, want nil", name, err)
	}
	if c.Reopen != nil {
		c.store = c.Reopen(c.t, c.store)
		c.wantSubjects(name, "in it")
	}
	if err := c.store.Rename(c.Context(), name, "plain"); err != nil {
		c.Fatalf("Rename(%q, plain) = %v, want nil", name, err)
	}
	c.wantSubjects("plain", "in it")
	if err := c.store.Rename(c.Context(), "plain", name); err != nil {
		c.Fatalf("Rename(plain, %q) = %v, want nil", name, err)
	}
	c.wantSubjects(name, "in it")
	if err := c.store.Delete(c.Context(), name); err != nil {
		c.Fatalf("Delete(%q) = %v, want nil", name, err)
	}
	c.wantGone(name)
}

func newNames(before, after map[mail.Name]mail.Mailbox) []mail.Name {
	var names []mail.Name
	for name := range after {
		if _, old := before[name]; !old {
			names = append(names, name)
		}
	}
	return names
}

func caseOfNames(c *trial) {
	c.fill("Work", "in Work")
	if c.FoldsCase {
		c.wantError("Create(work)", c.store.Create(c.Context(), "work"), "work", mail.ErrExist)
		return
	}
	c.fill("work", "in work")
	c.fill("WORK/Sub", "in WORK/Sub")
	c.fill("work/sub", "in work/sub")
	c.wantSubjects("Work", "in Work")
	c.wantSubjects("work", "in work")
	c.wantSubjects("WORK/Sub", "in WORK/Sub")
	c.wantSubjects("work/sub", "in work/sub")
}

func inboxNames(c *trial) {
	if _, there := c.mailboxes()[mail.Inbox]; !there {
		c.create(mail.Inbox)
	}
	c.fill(mail.Inbox, "in INBOX")
	c.fill("x/inbox", "below")
	c.wantSubjects(mail.NameOf("inbox"), "in INBOX")
	c.wantSubjects("x/inbox", "below")
	if m := c.mailbox(mail.Inbox); m.NoSelect {
		c.Errorf("INBOX is listed as one that holds no messages")
	}
}
