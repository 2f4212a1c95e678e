package imaptest

import (
	"encoding/base64"
	"slices"
	"strings"
)

func (s *Session) capability(Command) {
	s.reply("* CAPABILITY %s", strings.Join(s.capabilities(), " "))
	s.done("OK done")
}

// login serves LOGIN and AUTHENTICATE.
func (s *Session) login(c Command) {
	l := Login{Mechanism: "LOGIN", TLS: s.encrypted}
	switch {
	case c.Name == "LOGIN" && len(c.Args) == 2 && !s.can("LOGINDISABLED"):
		l.User, l.Secret = c.text(0), c.text(1)
	case c.Name == "AUTHENTICATE" && s.can("AUTH="+c.text(0)):
		l.Mechanism = strings.ToUpper(c.text(0))
		if !s.authenticate(c, &l) {
			s.done("BAD cannot read this answer")
			return
		}
	default:
		s.done("BAD no such login")
		return
	}
	judge := s.server.dialect.Login
	if judge == nil {
		judge = judgeSecret
	}
	if refusal := judge(l); refusal != "" {
		if strings.Contains(l.Mechanism, "OAUTH") { // the error comes as a challenge; the client answers with an empty line
			s.challenge(base64.StdEncoding.EncodeToString([]byte(`{"status":"invalid_token"}`)))
		}
		s.done("%s", refusal)
		return
	}
	s.user = l.User
	if l.As != "" {
		s.user = l.As
	}
	if s.server.dialect.Silent {
		s.done("OK logged in")
		return
	}
	s.done("OK [CAPABILITY %s] logged in", strings.Join(s.capabilities(), " "))
}

func judgeSecret(l Login) string {
	if l.Secret != Secret {
		return "NO [AUTHENTICATIONFAILED] wrong user or secret"
	}
	return ""
}

// authenticate reads the client's side of a mechanism, false if it makes no sense.
func (s *Session) authenticate(c Command, l *Login) bool {
	var answer string
	if l.Mechanism == "LOGIN" {
		user, ok := s.decoded(s.challenge("VXNlcm5hbWU6"))
		secret, ok2 := s.decoded(s.challenge("UGFzc3dvcmQ6"))
		l.User, l.Secret = user, secret
		return ok && ok2
	}
	switch {
	case len(c.Args) > 1 && s.can("SASL-IR"):
		answer = c.text(1)
	case len(c.Args) > 1:
		return false
	default:
		answer = s.challenge("")
	}
	text, ok := s.decoded(answer)
	if !ok {
		return false
	}
	switch l.Mechanism {
	case "PLAIN": // RFC 4616
		parts := strings.Split(text, "\x00")
		if len(parts) != 3 {
			return false
		}
		l.As, l.User, l.Secret = parts[0], parts[1], parts[2]
	case "XOAUTH2", "OAUTHBEARER": // RFC 7628 for the latter, whose header also names the user
		for field := range strings.SplitSeq(text, "\x01") {
			if token, ok := strings.CutPrefix(field, "auth=Bearer "); ok {
				l.Secret = token
			} else if user, ok := strings.CutPrefix(field, "user="); ok {
				l.User = user
			} else if _, user, ok := strings.Cut(field, "a="); ok && strings.HasPrefix(field, "n,") {
				l.User = strings.TrimSuffix(user, ",")
			}
		}
	}
	return l.User != ""
}

// challenge sends a continuation and reads the line that answers it.
func (s *Session) challenge(text string) string {
	s.Send("+ " + text + "\r\n")
	s.flush()
	line, err := s.r.ReadString('\n')
	if err != nil {
		s.ended = true
	}
	return strings.TrimRight(line, "\r\n")
}

func (s *Session) decoded(answer string) (string, bool) {
	if answer == "=" { // an empty initial response (RFC 4959)
		return "", true
	}
	text, err := base64.StdEncoding.DecodeString(answer)
	return string(text), err == nil
}

func (s *Session) enable(c Command) {
	var now []string
	for _, arg := range c.Args {
		name := strings.ToUpper(arg.Text)
		if s.can(name) && slices.Contains([]string{"CONDSTORE", "QRESYNC", "UTF8=ACCEPT", "IMAP4REV2"}, name) {
			now = append(now, name)
		}
	}
	s.enabled = append(s.enabled, now...)
	s.reply("* ENABLED %s", strings.Join(now, " "))
	s.done("OK done")
}

// has tells whether the client has enabled an extension.
func (s *Session) has(name string) bool { return slices.Contains(s.enabled, name) }

func (s *Session) namespace(Command) {
	answer := s.server.dialect.Namespace
	if answer == "" {
		answer = `(("" "/")) NIL NIL`
	}
	s.reply("* NAMESPACE %s", answer)
	s.done("OK done")
}
