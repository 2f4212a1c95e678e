package maildir

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"roost/mail"
)

func FuzzUIDList(f *testing.F) {
	f.Add([]byte(sampleList))
	f.Add([]byte("1 77 5\n3 old\n"))
	f.Add([]byte("3 V1 N1 G\n1 G:x\n2  : :\n4294967295 :x\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		var last uint32
		n, err := parseUIDList(bytes.NewReader(text), func(r record) {
			if r.uid <= last || len(r.name) == 0 || bytes.ContainsAny(r.name, "/:\n") {
				t.Errorf("record %+v after UID %d", r, last)
			}
			last = r.uid
			r.guid()
		})
		if err == nil && (n.uidValidity == 0 || n.next() <= last) {
			t.Errorf("header %+v, last UID %d", n, last)
		}
	})
}

func FuzzFileName(f *testing.F) {
	f.Add("1.M2P3.host,S=12,W=13:2,FSab", `\Seen Work`, "$Forwarded")
	f.Add("x!2,;2,:2,S,S", "", `\Draft`)
	f.Fuzz(func(t *testing.T, name, add, remove string) {
		k := &keywords{0: "Work"}
		before, letters, behind := splitInfo(name)
		a, r := mail.FlagsOf(strings.Fields(add)...), mail.FlagsOf(strings.Fields(remove)...)
		wanted, lost := changeLetters(letters, a, r, k)
		changed := before + wanted + behind
		if changed[:baseLen(changed)] != name[:baseLen(name)] {
			t.Errorf("new flags made base %q of %q", changed[:baseLen(changed)], name[:baseLen(name)])
		}
		_, again, _ := splitInfo(changed)
		if again != wanted {
			t.Errorf("wrote letters %q, read %q", wanted, again)
		}
		have := flagsOf(again, k)
		for flag := range a.Minus(lost).All() {
			if !have.Has(flag) {
				t.Errorf("added %q to %q, got %q", flag, name, have)
			}
		}
		field(name, 'S')
	})
}

func FuzzKeywords(f *testing.F) {
	f.Add([]byte("0 Work\n25 z\n26 over\nx\n3\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		k, err := parseKeywords(bytes.NewReader(text))
		if err != nil {
			t.Fatalf("parseKeywords = %v", err)
		}
		for i, name := range k {
			if name != "" && k.letter(name) != 'a'+byte(i) {
				t.Errorf("keyword %q is twice", name)
			}
		}
	})
}

func FuzzName(f *testing.F) {
	for _, seed := range []string{"a/b", "..", "%2E", "&AOQ-", "INBOX/x", "\xff", "%-", "a//b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		name := mail.NameOf(strings.Split(text, "/")...)
		if name == "" {
			return
		}
		for _, o := range []Options{{}, {UTF8: true}, {FS: true}} {
			dir := o.dirOf(name)
			if got, ok := o.nameOf(dir); !ok || got != name || !filepath.IsLocal(dir) {
				t.Errorf("%+v: %q is in %q, where %q is; regular is %v", o, name, dir, got, ok)
			}
		}
	})
}
