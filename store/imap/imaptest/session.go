package imaptest

import (
	"bufio"
	"compress/flate"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
)

// Session is one connection. Answers use its exported methods.
type Session struct {
	Number int // of the connection, from 0

	server    *Server
	base      net.Conn // as accepted
	conn      net.Conn // with Wire and TLS
	encrypted bool
	deflate   *flate.Writer // nil without COMPRESS
	r         *bufio.Reader
	w         *bufio.Writer

	user     string // "" before the login
	enabled  []string
	selected *Mailbox
	readOnly bool
	view     []uint32 // the UIDs that the client knows, by sequence number
	seen     uint64   // highest mod-sequence the client was told of by EXPUNGE or VANISHED

	current Command  // what is served now
	out     []string // its responses, not yet sent
	upgrade bool     // to TLS, after it
	ended   bool
}

func newSession(server *Server, number int, conn net.Conn, encrypted bool) *Session {
	s := &Session{Number: number, server: server, base: conn, conn: conn, encrypted: encrypted}
	if wire := server.dialect.Wire; wire != nil {
		s.conn = wire(number, conn)
	}
	if encrypted {
		s.conn = tls.Server(s.conn, server.tls)
	}
	s.r, s.w = bufio.NewReader(s.conn), bufio.NewWriter(s.conn)
	return s
}

// User is who is logged in, "" before that.
func (s *Session) User() string { return s.user }

// Selected is the mailbox that is selected, nil if none.
func (s *Session) Selected() *Mailbox { return s.selected }

// Send sends raw text, line ends and all, past the rewrites.
func (s *Session) Send(text string) {
	if _, err := io.WriteString(s.w, text); err != nil {
		s.ended = true
	}
}

// Tagged ends a command with a line, as "OK done", past the rewrites.
func (s *Session) Tagged(c Command, line string) { s.Send(c.Tag + " " + line + "\r\n") }

// Store adds a message to a mailbox, as an Answer does that serves APPEND in part.
func (s *Session) Store(mailbox string, message Message) {
	s.server.account.Mailbox(mailbox).Append(message)
}

// Close ends the connection when what was sent has left.
func (s *Session) Close() { s.ended = true }

// hang waits until the connection is closed from elsewhere.
func (s *Session) hang() {
	s.flush()
	io.Copy(io.Discard, s.r)
	s.ended = true
}

func (s *Session) flush() {
	if err := s.w.Flush(); err != nil {
		s.ended = true
	}
	if s.deflate != nil && s.deflate.Flush() != nil {
		s.ended = true
	}
}

// reply adds a response to the current command, as a whole line without its end.
func (s *Session) reply(format string, args ...any) {
	s.out = append(s.out, fmt.Sprintf(format, args...)+"\r\n")
}

// done adds the tagged response.
func (s *Session) done(format string, args ...any) {
	s.reply("%s %s", s.current.Tag, fmt.Sprintf(format, args...))
}

// deliver sends the responses of the current command through the rewrites.
func (s *Session) deliver() {
	for _, response := range s.out {
		for _, rewrite := range s.server.dialect.Rewrites {
			response = rewrite(s, s.current, response)
		}
		s.Send(response)
	}
	s.out = s.out[:0]
	s.flush()
}

// serve talks to the client until one of both ends it.
func (s *Session) serve() {
	d := s.server.dialect
	if d.MaxConnections > 0 && s.server.count() > d.MaxConnections {
		s.Send("* BYE Too many simultaneous connections\r\n")
		s.flush()
		return
	}
	switch {
	case d.Greeting != "":
		s.reply("%s", d.Greeting)
	case d.Silent:
		s.reply("* OK imaptest ready")
	default:
		s.reply("* OK [CAPABILITY %s] imaptest ready", strings.Join(s.capabilities(), " "))
	}
	s.deliver()
	for !s.ended && !strings.HasPrefix(d.Greeting, "* BYE") && !strings.HasPrefix(d.Greeting, "* NO") {
		c, err := readCommand(s.r, s.wantLiteral)
		if err != nil && !errors.Is(err, errSyntax) {
			return
		}
		c.Connection = s.Number
		s.current = c
		s.server.record(c)
		switch {
		case err != nil:
			s.done("BAD %v", err)
		case d.MaxLine > 0 && c.Octets > d.MaxLine:
			s.done("BAD command line too long")
		case slices.ContainsFunc(d.Answers, func(a Answer) bool { return a(s, c) }):
		default:
			s.run(c)
		}
		s.deliver()
		if s.upgrade {
			s.startTLS()
		}
	}
}

// wantLiteral lets the client send a literal that it announced.
func (s *Session) wantLiteral(size int64, synchronizing bool) error {
	if !synchronizing {
		if !s.can("LITERAL+") && (!s.can("LITERAL-") || size > 4096) {
			return fmt.Errorf("literal of %d octets that did not wait: %w", size, errSyntax)
		}
		return nil
	}
	s.Send("+ go on\r\n")
	s.flush()
	return nil
}

// startTLS begins TLS after its OK has left. What the client sent before that is thrown away.
func (s *Session) startTLS() {
	s.upgrade, s.encrypted = false, true
	s.conn = tls.Server(s.conn, s.server.tls)
	s.r, s.w = bufio.NewReader(s.conn), bufio.NewWriter(s.conn)
}

// startDeflate begins compression (RFC 4978) after its OK has left.
func (s *Session) startDeflate() {
	s.done("OK compressing")
	s.deliver()
	w, err := flate.NewWriter(s.conn, flate.DefaultCompression)
	if err != nil {
		panic(err) // the level is a constant
	}
	s.deflate, s.w = w, bufio.NewWriter(w)
	s.r = bufio.NewReader(flate.NewReader(s.r))
}

// capabilities are what the server can now.
func (s *Session) capabilities() []string {
	if s.user != "" {
		return s.server.dialect.AfterLogin
	}
	return s.server.dialect.Capabilities
}

// can tells whether the server has a capability now.
func (s *Session) can(capability string) bool {
	return slices.ContainsFunc(s.capabilities(), func(c string) bool { return strings.EqualFold(c, capability) })
}

// run serves a command as the RFCs say.
func (s *Session) run(c Command) {
	if strings.HasPrefix(c.Name, "AUTH") || c.Name == "LOGIN" {
		s.login(c)
		return
	}
	s.server.account.mu.Lock()
	defer s.server.account.mu.Unlock()
	handler, needs := s.handler(c)
	switch {
	case handler == nil || needs.capability != "" && !s.can(needs.capability):
		s.done("BAD unknown command %s", c.Name)
	case needs.login && s.user == "":
		s.done("BAD not logged in")
	case needs.mailbox && s.selected == nil:
		s.done("BAD no mailbox selected")
	case needs.writable && s.readOnly:
		s.done("NO [READ-ONLY] examined, not selected")
	case len(c.Args) < needs.args:
		s.done("BAD %s wants %d arguments", c.Name, needs.args)
	default:
		handler(c)
	}
}

// need is what a command presumes.
type need struct {
	login, mailbox, writable bool
	args                     int
	capability               string
}

// handler is the method that serves a command.
func (s *Session) handler(c Command) (func(Command), need) {
	account := need{login: true}
	named := need{login: true, args: 1}
	mailbox := need{login: true, mailbox: true}
	write := need{login: true, mailbox: true, writable: true}
	with := func(n need, args int, capability string) need { n.args, n.capability = args, capability; return n }
	switch c.Name {
	case "CAPABILITY":
		return s.capability, need{}
	case "NOOP", "CHECK":
		return func(Command) { s.update(); s.done("OK done") }, need{}
	case "LOGOUT":
		return func(Command) { s.reply("* BYE logging out"); s.done("OK done"); s.ended = true }, need{}
	case "ID":
		return func(Command) { s.reply(`* ID ("name" "imaptest")`); s.done("OK done") }, with(need{}, 1, "ID")
	case "STARTTLS":
		return func(Command) { s.upgrade = !s.encrypted; s.done("OK begin TLS") }, with(need{}, 0, "STARTTLS")
	case "ENABLE":
		return s.enable, with(account, 1, "ENABLE")
	case "COMPRESS":
		return func(Command) { s.startDeflate() }, with(account, 1, "COMPRESS=DEFLATE")
	case "NAMESPACE":
		return s.namespace, with(account, 0, "NAMESPACE")
	case "LIST", "LSUB":
		return s.list, with(account, 2, "")
	case "STATUS":
		return s.status, with(account, 2, "")
	case "SELECT", "EXAMINE":
		return s.selectMailbox, named
	case "CREATE":
		return s.create, named
	case "DELETE":
		return s.delete, named
	case "RENAME":
		return s.rename, with(account, 2, "")
	case "SUBSCRIBE", "UNSUBSCRIBE":
		return s.subscribe, named
	case "APPEND":
		return s.append, with(account, 2, "")
	case "UNSELECT":
		return func(Command) { s.selected = nil; s.done("OK done") }, with(mailbox, 0, "UNSELECT")
	case "CLOSE":
		return s.close, mailbox
	case "FETCH", "UID FETCH":
		return s.fetch, with(mailbox, 2, "")
	case "SEARCH", "UID SEARCH":
		return s.search, with(mailbox, 1, "")
	case "STORE", "UID STORE":
		return s.store, with(write, 3, "")
	case "COPY", "UID COPY":
		return s.copyOrMove, with(mailbox, 2, "")
	case "MOVE", "UID MOVE":
		return s.copyOrMove, with(write, 2, "MOVE")
	case "EXPUNGE":
		return s.expunge, write
	case "UID EXPUNGE":
		return s.expunge, with(write, 1, "UIDPLUS")
	}
	return nil, need{}
}
