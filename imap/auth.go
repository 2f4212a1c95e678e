package imap

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// Credentials say who logs in.
type Credentials struct {
	User      string // who holds the secret; a master user in the form the server wants, as "alice*master"
	ActAs     string // authorisation identity: whose mail is opened; "" is User's
	ProxyAuth string // whose mail is opened by a PROXYAUTH command after the login (SUN, Oracle); "" none
	Mechanism string // SASL mechanism in upper case, or "LOGIN-COMMAND"; "" chooses one that the server offers
	Secret    string // password, or the access token of XOAUTH2 and OAUTHBEARER
}

// loginCommand is the name for the LOGIN command among the mechanisms.
const loginCommand = "LOGIN-COMMAND"

// Login authenticates, learns what the server can from then on, and turns on compression where it is offered. After it
// the connection is ready. An *Error has ReasonAuth if the server does not accept the credentials.
func (c *Client) Login(ctx context.Context, who Credentials) error {
	if c.caps == nil {
		if err := c.run(ctx, "CAPABILITY", &Pending{}, nil); err != nil {
			return err
		}
	}
	if !c.preauth {
		before := c.caps
		c.caps = nil
		if err := c.authenticate(ctx, who, before); err != nil {
			return err
		}
	}
	// QUIRK: iCloud and others: capabilities change with the login, and not all servers say so by themselves.
	if c.caps == nil {
		if err := c.run(ctx, "CAPABILITY", &Pending{}, nil); err != nil {
			return err
		}
	}
	if who.ProxyAuth != "" {
		if err := c.run(ctx, "PROXYAUTH", &Pending{}, func(w *Writer) { w.Raw(" ").AString(who.ProxyAuth) }); err != nil {
			return err
		}
	}
	return c.prepare(ctx)
}

// prepare does what a fresh login needs: literals, ID, compression.
func (c *Client) prepare(ctx context.Context) error {
	switch {
	case c.caps.Has("LITERAL+"):
		c.writer.NonSync = NonSyncAny
	case c.caps.Has("LITERAL-"):
		c.writer.NonSync = NonSyncSmall
	}
	if c.caps.Has("ID") {
		// QUIRK: Coremail (163.com): refuses SELECT as "Unsafe Login" to clients that do not send ID.
		if err := ignoreRefusal(c.run(ctx, `ID ("name" "roost")`, &Pending{}, nil)); err != nil {
			return err
		}
	}
	if c.caps.Has("COMPRESS=DEFLATE") && !c.opts.NoCompress {
		return ignoreRefusal(c.compress(ctx))
	}
	return nil
}

// ignoreRefusal drops NO and BAD to a command that is only an advantage.
func ignoreRefusal(err error) error {
	if reason, ok := ReasonOf(err); ok && (reason == ReasonNo || reason == ReasonBad) {
		return nil
	}
	return err
}

// authenticate logs in by the mechanism that was asked for, or the best one there is.
func (c *Client) authenticate(ctx context.Context, who Credentials, caps Caps) error {
	mechanism := strings.ToUpper(who.Mechanism)
	if mechanism == "" {
		mechanism = chooseMechanism(caps, c.secure, who.ActAs != "")
	}
	if mechanism == loginCommand {
		if caps["LOGINDISABLED"] {
			return &Error{Op: "LOGIN", Reason: ReasonTLS, Err: errors.New("the server wants no password on this connection")}
		}
		p := c.start(ctx, "LOGIN", &Pending{}, func(w *Writer) { w.Raw(" ").String(who.User).Raw(" ").Secret(who.Secret) })
		return loginResult("LOGIN", p, p.Wait(ctx))
	}
	m, err := newMechanism(mechanism, who)
	if err != nil {
		return &Error{Op: "AUTHENTICATE", Reason: ReasonAuth, Err: err}
	}
	return c.converse(ctx, mechanism, m, caps.Has("SASL-IR"))
}

// loginResult gives a refused login the reason that it has.
func loginResult(op string, p *Pending, err error) error {
	var e *Error
	if errors.As(err, &e) && e.Status != "" && e.Status != "BYE" {
		return authError(op, p.reply)
	}
	return err
}

// chooseMechanism prefers what shows the password to nobody, where TLS does not hide it; under TLS it prefers what each
// account can do: a server may offer SCRAM and hold no SCRAM hash of an old password.
func chooseMechanism(caps Caps, secure, actAs bool) string {
	order := []string{"SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN", "LOGIN"}
	if secure {
		order = []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-1", "LOGIN"}
	}
	for _, m := range order {
		if caps["AUTH="+m] && (m != "LOGIN" || !actAs) {
			return m
		}
	}
	if actAs {
		return "PLAIN"
	}
	return loginCommand
}

// converse is the exchange of AUTHENTICATE (RFC 9051, 6.2.2).
func (c *Client) converse(ctx context.Context, name string, m mechanism, initial bool) error {
	first, has, err := m.start()
	if err != nil {
		return &Error{Op: "AUTHENTICATE " + name, Reason: ReasonAuth, Err: err}
	}
	p := c.start(ctx, "AUTHENTICATE", &Pending{}, func(w *Writer) {
		w.Raw(" ").Raw(name)
		if has && initial {
			w.Raw(" ").RawSecret(encodeSASL(first))
			has = false
		}
	})
	log := c.reader.Log
	if log != nil {
		c.reader.Log = func([]byte) { log([]byte(redacted)) } // challenges are part of the secret
		defer func() { c.reader.Log = log }()
	}
	stop := c.watch(ctx)
	var broken error // of the mechanism: the exchange is then ended with "*"
	stray := 0
	for !p.done && err == nil {
		var asked []byte
		if asked, err = c.readResponse(); asked == nil {
			continue
		}
		answer := first
		if !has {
			challenge, err := base64.StdEncoding.DecodeString(string(asked))
			if err != nil {
				challenge = nil // "+ go on": no challenge, but the server may wait
			}
			answer, broken = m.next(challenge)
		}
		if errors.Is(broken, errStray) && stray < maxStray {
			stray++
			broken = nil
			continue
		}
		has = false
		if broken != nil {
			c.writer.Raw("*")
		} else {
			c.writer.RawSecret(base64.StdEncoding.EncodeToString(answer))
		}
		err = c.writer.EndLine().Flush()
	}
	if stopped := stop(); stopped != nil {
		err = stopped
	}
	op := "AUTHENTICATE " + name
	switch {
	case err != nil:
		return c.fail(op, err)
	case broken != nil:
		return &Error{Op: op, Reason: ReasonAuth, Text: printable(p.reply.Text), Err: broken}
	case p.err == nil && p.reply.Type == "OK":
		if err := m.done(); err != nil {
			return &Error{Op: op, Reason: ReasonAuth, Err: err}
		}
		return nil
	}
	err = loginResult(op, p, p.Wait(ctx))
	var e *Error
	if said := m.failure(); said != "" && errors.As(err, &e) && e.Err == nil {
		e.Err = fmt.Errorf("the server says %s", printable(said))
	}
	return err
}

// encodeSASL is an initial response: "=" is an empty one (RFC 9051, 6.2.2).
func encodeSASL(b []byte) string {
	if len(b) == 0 {
		return "="
	}
	return base64.StdEncoding.EncodeToString(b)
}
