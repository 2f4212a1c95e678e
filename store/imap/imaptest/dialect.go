package imaptest

import (
	"net"
	"slices"
	"strings"
)

// Dialect is how a server departs from a well-behaved one that can everything. Its functions may be called from several
// connections at once.
type Dialect struct {
	Greeting string // the first line; default is an OK with the capabilities

	// Capabilities are what the server says and does; what is missing is refused with BAD. Default is Everything.
	Capabilities []string
	AfterLogin   []string // what it says and does once logged in; default the same
	Silent       bool     // says them only when asked: not in the greeting, not in the answer to a login

	Namespace      string // what NAMESPACE answers; default `(("" "/")) NIL NIL`
	PermanentFlags string // in SELECT and EXAMINE; default all flags and \*; "-" is no such line

	MaxLine        int // octets of the longest command line; a longer one is BAD. 0: no limit
	MaxConnections int // at the same time; one more is turned away with BYE. 0: no limit

	// Login says how a login ends, as "NO [AUTHENTICATIONFAILED] wrong"; "" lets it in. Default lets in who has Secret.
	Login func(l Login) string

	// Broken says how the fetch of a message's bytes ends, as "NO [UNAVAILABLE] server error"; "" is well. The messages
	// before it have been answered, those behind it are not.
	Broken func(m *Mailbox, uid uint32) string

	// Answers are asked in turn before a command is served; the first that returns true has answered it.
	Answers []Answer

	// Rewrites see each response of the server, one after the other, before it is sent.
	Rewrites []Rewrite

	// Wire, if set, wraps the connection of that number below TLS and compression.
	Wire func(connection int, conn net.Conn) net.Conn
}

// Secret is the password and the token of every user.
const Secret = "secret"

// Login is one attempt.
type Login struct {
	Mechanism string // "LOGIN" for the command, else of AUTHENTICATE
	User      string // authentication identity
	As        string // authorisation identity, "" for none
	Secret    string // password or token
	TLS       bool   // the connection is encrypted
}

// Answer may answer a command in the server's place, with the methods of the session, and then returns true.
type Answer func(s *Session, c Command) bool

// Rewrite returns what is sent instead of a response to c, or of the greeting (an empty command). A response is one or
// more whole lines with their line ends and the literals in them; "" is not sent.
type Rewrite func(s *Session, c Command, response string) string

// Everything is what the server can. COMPRESS=DEFLATE is not among it, as it would hide the bytes from Wire; nor is
// what only Gmail and Dovecot have.
func Everything() []string {
	return strings.Fields("IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2 AUTH=OAUTHBEARER STARTTLS ID ENABLE " +
		"NAMESPACE LITERAL+ MULTIAPPEND UIDPLUS MOVE UNSELECT CHILDREN LIST-EXTENDED LIST-STATUS SPECIAL-USE ESEARCH " +
		"CONDSTORE QRESYNC OBJECTID STATUS=SIZE UTF8=ACCEPT")
}

// Bare is what the oldest server can: nothing but IMAP4rev1 and a password.
func Bare() []string { return []string{"IMAP4rev1", "AUTH=PLAIN"} }

// Without is a list of capabilities without some.
func Without(all []string, some ...string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(c string) bool { return slices.Contains(some, c) })
}

// With is a list of capabilities and some more.
func With(all []string, some ...string) []string { return append(slices.Clone(all), some...) }
