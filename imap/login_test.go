package imap

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/base64"
	"io"
	"strings"
	"testing"

	"github.com/xdg-go/scram"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

// Each mechanism says what its RFC wants, and a log of the wire never shows the secret.
func TestMechanisms(t *testing.T) {
	const done = "TAG OK [CAPABILITY IMAP4rev1] welcome\r\n"
	for _, c := range []struct {
		name, caps string
		who        Credentials
		steps      []step
	}{
		{"PLAIN at once", "SASL-IR AUTH=PLAIN", Credentials{User: "alice"},
			[]step{{"AUTHENTICATE PLAIN " + b64("\x00alice\x00hunter2"), done}}},
		{"PLAIN for another", "SASL-IR AUTH=PLAIN AUTH=LOGIN", Credentials{User: "master", ActAs: "alice"},
			[]step{{"AUTHENTICATE PLAIN " + b64("alice\x00master\x00hunter2"), done}}},
		{"master user", "SASL-IR AUTH=PLAIN", Credentials{User: "alice*master"},
			[]step{{"AUTHENTICATE PLAIN " + b64("\x00alice*master\x00hunter2"), done}}},
		{"PROXYAUTH", "SASL-IR AUTH=PLAIN", Credentials{User: "admin", ProxyAuth: "alice"},
			[]step{{"AUTHENTICATE PLAIN " + b64("\x00admin\x00hunter2"), done}, {"PROXYAUTH alice", "TAG OK\r\n"}}},
		{"EXTERNAL", "SASL-IR AUTH=EXTERNAL", Credentials{Mechanism: "EXTERNAL"},
			[]step{{"AUTHENTICATE EXTERNAL =", done}}},
		{"XOAUTH2", "SASL-IR", Credentials{User: "alice", Mechanism: "XOAUTH2"},
			[]step{{"AUTHENTICATE XOAUTH2 " + b64("user=alice\x01auth=Bearer hunter2\x01\x01"), done}}},
		{"OAUTHBEARER", "SASL-IR", Credentials{User: "a=b,c", Mechanism: "oauthbearer"},
			[]step{{"AUTHENTICATE OAUTHBEARER " + b64("n,a=a=3Db=2Cc,\x01auth=Bearer hunter2\x01\x01"), done}}},
		{"LOGIN command", "", Credentials{User: "a b"}, []step{{`LOGIN "a b" hunter2`, done}}},
		{"capabilities asked for again", "", Credentials{User: "alice"},
			[]step{{`LOGIN "alice" hunter2`, "TAG OK\r\n"}, {"CAPABILITY", "* CAPABILITY IMAP4rev1\r\nTAG OK\r\n"}}},
		{"ID where there is one", "", Credentials{User: "alice"},
			[]step{{`LOGIN "alice" hunter2`, "TAG OK [CAPABILITY ID] x\r\n"}, {`ID ("name" "roost")`, "* ID (\"name\" \"Dovecot\")\r\nTAG OK\r\n"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var log bytes.Buffer
			client := script(t, Options{WireLog: &log}, "* OK [CAPABILITY IMAP4rev1 "+c.caps+"] hello", c.steps...)
			c.who.Secret = "hunter2"
			if err := client.Login(t.Context(), c.who); err != nil {
				t.Errorf("login = %v", err)
			}
			if s := log.String(); strings.Contains(s, "hunter2") || strings.Contains(s, b64("hunter2")[:8]) || strings.Contains(s, b64("\x00alice\x00hunter2")) || !strings.Contains(s, "C:") {
				t.Errorf("the log shows too much or nothing:\n%s", s)
			}
		})
	}
}

// Without SASL-IR, and in LOGIN, the server asks for each piece.
func TestConversation(t *testing.T) {
	for mechanism, answers := range map[string][]string{
		"PLAIN": {"\x00alice\x00hunter2"},
		"LOGIN": {"alice", "hunter2"},
	} {
		client := dialogue(t, Options{}, func(s *scripted) {
			s.send("* OK [CAPABILITY AUTH=" + mechanism + "] hello\r\n")
			tag, command := s.command()
			if command != "AUTHENTICATE "+mechanism {
				t.Errorf("command %q", command)
			}
			for _, want := range answers {
				s.send("+ \r\n")
				line, _ := s.in.ReadString('\n')
				if line != b64(want)+"\r\n" {
					t.Errorf("%s answers %q, want %q", mechanism, line, b64(want))
				}
			}
			s.send(tag + " OK [CAPABILITY IMAP4rev1]\r\n")
		})
		if err := client.Login(t.Context(), Credentials{User: "alice", Secret: "hunter2"}); err != nil {
			t.Errorf("login by %s = %v", mechanism, err)
		}
	}
}

// A continuation request that is no challenge costs no login, and nothing is said to it that the server would take for a
// command: the next one is understood. Row MS-24.
func TestStrayRequestsAtLogin(t *testing.T) {
	for _, c := range []struct {
		mechanism, caps string
		requests        string // sent at once
		answers         []string
	}{
		{"PLAIN", "SASL-IR", "+ \r\n+ go on\r\n", nil},
		{"PLAIN", "", "+ \r\n+ \r\n+ go on\r\n", []string{"\x00alice\x00hunter2"}},
		{"EXTERNAL", "SASL-IR", "+ \r\n", nil},
		{"LOGIN", "", "+ \r\n+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\n", []string{"alice", "hunter2"}},
	} {
		client := dialogue(t, Options{}, func(s *scripted) {
			s.send("* OK [CAPABILITY " + c.caps + " AUTH=" + c.mechanism + "] hello\r\n")
			tag, _ := s.command()
			s.send(c.requests)
			for _, want := range c.answers {
				if line, _ := s.in.ReadString('\n'); line != b64(want)+"\r\n" {
					t.Errorf("%s answers %q, want %q", c.mechanism, line, b64(want))
				}
			}
			s.send(tag + " OK [CAPABILITY IMAP4rev1]\r\n")
			s.play(step{"NOOP", "TAG OK\r\n"})
		})
		if err := client.Login(t.Context(), Credentials{User: "alice", Secret: "hunter2", Mechanism: c.mechanism}); err != nil {
			t.Errorf("login by %s = %v", c.mechanism, err)
		}
		if err := client.Noop(t.Context()); err != nil {
			t.Errorf("NOOP after a login by %s = %v", c.mechanism, err)
		}
	}
	client := dialogue(t, Options{}, func(s *scripted) {
		s.send("* OK [CAPABILITY SASL-IR AUTH=PLAIN] hello\r\n")
		tag, _ := s.command()
		for range 100 {
			s.send("+ \r\n")
		}
		for line := ""; line != "*\r\n"; {
			var err error
			if line, err = s.in.ReadString('\n'); err != nil {
				return
			}
		}
		s.send(tag + " BAD cancelled\r\n")
	})
	if err := client.Login(t.Context(), Credentials{User: "alice", Secret: "hunter2"}); err == nil {
		t.Error("login with requests without end = nil, want an error")
	}
}

// A refused login is of the kind that the server says, and a failure told within the mechanism is answered and shown.
func TestLoginRefused(t *testing.T) {
	for _, c := range []struct {
		answer string
		reason Reason
	}{
		{"TAG NO [AUTHENTICATIONFAILED] wrong", ReasonAuth},
		{"TAG BAD wrong", ReasonAuth},
		{"TAG NO [ALERT] Application-specific password required", ReasonHuman},
		{"TAG NO [WEBALERT https://example.com/] log in", ReasonHuman},
		{"TAG NO [CONTACTADMIN] closed", ReasonHuman},
		{"TAG NO [EXPIRED] old", ReasonHuman},
		{"TAG NO [UNAVAILABLE] later", ReasonThrottled},
		{"TAG NO User is authenticated but not connected.", ReasonThrottled},
		{"TAG NO [PRIVACYREQUIRED] TLS first", ReasonTLS},
		{"* BYE busy", ReasonConnection},
	} {
		client := script(t, Options{}, "* OK [CAPABILITY SASL-IR AUTH=PLAIN] hello", step{"AUTHENTICATE PLAIN " + b64("\x00alice\x00x"), c.answer + "\r\n"})
		err := client.Login(t.Context(), Credentials{User: "alice", Secret: "x"})
		if reason, ok := ReasonOf(err); !ok || reason != c.reason {
			t.Errorf("%q is %v, want reason %d", c.answer, err, c.reason)
		}
	}
	client := dialogue(t, Options{}, func(s *scripted) {
		s.send("* OK [CAPABILITY SASL-IR] hello\r\n")
		tag, _ := s.command()
		s.send("+ " + b64(`{"status":"401"}`) + "\r\n")
		if line, _ := s.in.ReadString('\n'); line != b64("\x01")+"\r\n" {
			t.Errorf("a failure is answered by %q", line)
		}
		s.send(tag + " NO [AUTHENTICATIONFAILED] no\r\n")
	})
	err := client.Login(t.Context(), Credentials{User: "alice", Secret: "x", Mechanism: "OAUTHBEARER"})
	if reason, ok := ReasonOf(err); !ok || reason != ReasonAuth || !strings.Contains(err.Error(), `"401"`) {
		t.Errorf("OAUTHBEARER = %v, want reason %d with the server's words", err, ReasonAuth)
	}
	client = script(t, Options{}, "* OK [CAPABILITY LOGINDISABLED] hello")
	if reason, _ := ReasonOf(client.Login(t.Context(), Credentials{User: "a", Secret: "b"})); reason != ReasonTLS {
		t.Errorf("LOGINDISABLED is %v, want reason %d", client.Err(), ReasonTLS)
	}
}

// SCRAM convinces a server that has the hash, and is not convinced by one that has not, nor made to work for hours.
func TestScram(t *testing.T) {
	verifier, err := scram.SHA256.NewClient("alice", "hunter2", "")
	if err != nil {
		t.Fatal(err)
	}
	stored, err := verifier.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "salt", Iters: 4096})
	if err != nil {
		t.Fatal(err)
	}
	server, err := scram.SHA256.NewServer(func(string) (scram.StoredCredentials, error) { return stored, nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(challenge string) string
		ok     bool
	}{
		{"honest", func(s string) string { return s }, true},
		{"signature forged", func(s string) string {
			if strings.HasPrefix(s, "v=") {
				return "v=" + b64(strings.Repeat("x", 32))
			}
			return s
		}, false},
		{"signature left out", func(s string) string {
			if strings.HasPrefix(s, "v=") {
				return ""
			}
			return s
		}, false},
		{"stray requests", func(s string) string { return "stray " + s }, true},
		{"endless work", func(s string) string { return strings.Replace(s, "i=4096", "i=2000000000", 1) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := dialogue(t, Options{}, func(s *scripted) {
				s.send("* OK [CAPABILITY SASL-IR AUTH=SCRAM-SHA-256] hello\r\n")
				tag, command := s.command()
				talk := server.NewConversation()
				said := strings.TrimPrefix(command, "AUTHENTICATE SCRAM-SHA-256 ")
				for !talk.Done() {
					raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(said))
					if err != nil {
						break
					}
					challenge, err := talk.Step(string(raw))
					if challenge = c.change(challenge); err != nil || challenge == "" {
						break
					}
					if rest, stray := strings.CutPrefix(challenge, "stray "); stray {
						challenge = rest
						s.send("+ \r\n+ go on\r\n")
					}
					s.send("+ " + b64(challenge) + "\r\n")
					if said, err = s.in.ReadString('\n'); err != nil || said == "*\r\n" {
						s.send(tag + " BAD cancelled\r\n")
						return
					}
				}
				s.send(tag + " OK [CAPABILITY IMAP4rev1]\r\n")
			})
			err := client.Login(t.Context(), Credentials{User: "alice", Secret: "hunter2"})
			if (err == nil) != c.ok {
				t.Errorf("login = %v, want it to succeed: %v", err, c.ok)
			}
			if reason, _ := ReasonOf(err); err != nil && reason != ReasonAuth {
				t.Errorf("login = %v, want reason %d", err, ReasonAuth)
			}
		})
	}
}

// After COMPRESS both directions are compressed, what came with the answer too.
func TestCompress(t *testing.T) {
	client := dialogue(t, Options{}, func(s *scripted) {
		s.send("* PREAUTH [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] hello\r\n")
		tag, command := s.command()
		if command != "COMPRESS DEFLATE" {
			t.Errorf("command %q", command)
		}
		var first bytes.Buffer
		first.WriteString(tag + " OK go\r\n")
		w, _ := flate.NewWriter(&first, flate.BestSpeed)
		io.WriteString(w, "* 7 EXISTS\r\n")
		w.Flush()
		s.send(first.String())
		s.in = bufio.NewReader(flate.NewReader(s.in))
		tag, command = s.command()
		if command != "NOOP" {
			t.Errorf("compressed command %q", command)
		}
		first.Reset()
		io.WriteString(w, tag+" OK done\r\n")
		w.Flush()
		s.conn.Write(first.Bytes())
	})
	if err := client.Login(t.Context(), Credentials{}); err != nil {
		t.Fatalf("login = %v", err)
	}
	if err := client.Noop(t.Context()); err != nil || client.Exists() != 7 {
		t.Errorf("noop = %v, %d messages, want 7", err, client.Exists())
	}
}

// What the server wants its users to read is handed on, in its own words, fit for a terminal.
func TestAlert(t *testing.T) {
	var alerts []string
	client := script(t, Options{Alert: func(text string) { alerts = append(alerts, text) }}, "* OK [ALERT] down at \x1b[1mnoon hello",
		step{"NOOP", "* OK [ALERT] soon\r\nTAG OK [ALERT] now\r\n"})
	if err := client.Noop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(alerts, "|"); got != "down at  [1mnoon hello|soon|now" {
		t.Errorf("alerts %q", got)
	}
}
