package location

import (
	"strings"
	"testing"
)

// Locations mean what they mean to restic.
func TestParse(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"/srv/mail", "local dir=/srv/mail"},
		{"local:/srv/mail", "local dir=/srv/mail"},
		{`C:\mail`, `local dir=C:\mail`},
		{"rest:https://alice:s3cret@host:8000/path", "rest url=https://host:8000/path/ user=alice password=s3cret"},
		{"rest:http://host/", "rest url=http://host/"},
		{"sftp:alice@host:/srv/mail", "sftp dir=/srv/mail user=alice host=host"},
		{"sftp:host:mail/", "sftp dir=mail host=host"},
		{"sftp:alice@example.com@host:mail", "sftp dir=mail user=alice@example.com host=host"},
		{"sftp://alice@host:2222//srv/mail", "sftp dir=/srv/mail user=alice host=host port=2222"},
		{"sftp://host/mail", "sftp dir=mail host=host"},
		{"sftp://[::1]:22/mail", "sftp dir=mail host=::1 port=22"},
		{"s3:https://host:9000/bucket/a/b/", "s3 url=https://host:9000 bucket=bucket prefix=a/b"},
		{"s3:s3.amazonaws.com/bucket", "s3 url=https://s3.amazonaws.com bucket=bucket"},
		{"s3://host/bucket/a", "s3 url=https://host bucket=bucket prefix=a"},
		{"s3:http://host/bucket//a", "s3 url=http://host bucket=bucket prefix=a"},
	} {
		l, err := Parse(c.text)
		if err != nil {
			t.Errorf("Parse(%q): %v", c.text, err)
			continue
		}
		if got := describe(l); got != c.want {
			t.Errorf("Parse(%q) = %s, want %s", c.text, got, c.want)
		}
		if strings.Contains(l.String(), "s3cret") {
			t.Errorf("Parse(%q).String() = %q shows the password", c.text, l)
		}
	}
}

func describe(l Location) string {
	words := []string{string(l.Kind)}
	add := func(name, value string) {
		if value != "" {
			words = append(words, name+"="+value)
		}
	}
	add("dir", l.Dir)
	if l.URL != nil {
		add("url", l.URL.String())
	}
	add("user", l.User)
	add("password", l.Password)
	add("host", l.Host)
	add("port", l.Port)
	add("bucket", l.Bucket)
	add("prefix", l.Prefix)
	return strings.Join(words, " ")
}

// What is no location is refused, and no error shows what may be a password.
func TestParseRefuses(t *testing.T) {
	for _, text := range []string{
		"rest:ftp://a:s3cret@host/", "rest:https://a:s3%zzcret@host/", "rest:https:///path", "rest:https://a:s3cret@host/?x=s3cret",
		"sftp:host", "sftp:-oProxyCommand=s3cret:x", "sftp:-l@host:x", "sftp://-oProxyCommand=x/y", "sftp:a:s3cret@host:x", "sftp://a:s3cret@host/x",
		"sftp:host:~/x", "sftp:host:", "s3:https://key:s3cret@host/bucket", "s3:https://host", "s3:https://host/", "b2:bucket", "azure:x:/", "rclone:remote:path",
	} {
		l, err := Parse(text)
		if err == nil {
			t.Errorf("Parse(%q) = %s, want an error", text, describe(l))
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Parse(%q): the error shows the password: %v", text, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"rest:https://a:b@h/", "sftp:a@h:p", "sftp://a@h:1/p", "s3:h/b/p", "local:x", "x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		l, err := Parse(text)
		if err == nil && l.Kind == SFTP && (strings.HasPrefix(l.Host, "-") || strings.HasPrefix(l.User, "-")) {
			t.Errorf("Parse(%q) has host %q and user %q, which ssh takes for options", text, l.Host, l.User)
		}
	})
}
