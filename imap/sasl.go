package imap

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/xdg-go/scram"
)

// mechanism is the client's side of a SASL mechanism.
type mechanism interface {
	start() (first []byte, has bool, err error) // the initial response, if there is one
	next(challenge []byte) ([]byte, error)      // errStray: this is no challenge
	done() error                                // after OK: nil if the server has proved what it must
	failure() string                            // what the server said of a failure within the mechanism
}

// errStray is what a mechanism says of a continuation request to which it has nothing to answer, and the server cannot
// be waiting. QUIRK: Exchange sends such; an answer would be taken for the next command.
var errStray = errors.New("a challenge out of place")

// maxStray is how many of them are passed over.
const maxStray = 10

func newMechanism(name string, who Credentials) (mechanism, error) {
	switch name {
	case "PLAIN":
		if strings.ContainsRune(who.ActAs+who.User+who.Secret, 0) {
			return nil, errors.New("a NUL in a name or password cannot be sent by PLAIN")
		}
		return &oneShot{response: who.ActAs + "\x00" + who.User + "\x00" + who.Secret}, nil
	case "LOGIN":
		return &loginMechanism{answers: []string{who.User, who.Secret}}, nil
	case "EXTERNAL":
		return &oneShot{response: who.ActAs}, nil
	case "XOAUTH2":
		return &oneShot{response: "user=" + who.User + "\x01auth=Bearer " + who.Secret + "\x01\x01", tells: true}, nil
	case "OAUTHBEARER": // RFC 7628
		identity := who.ActAs
		if identity == "" {
			identity = who.User
		}
		escaped := strings.NewReplacer("=", "=3D", ",", "=2C").Replace(identity)
		return &oneShot{response: "n,a=" + escaped + ",\x01auth=Bearer " + who.Secret + "\x01\x01", onFailure: "\x01", tells: true}, nil
	case "SCRAM-SHA-256":
		return newScram(scram.SHA256, who)
	case "SCRAM-SHA-1":
		return newScram(scram.SHA1, who)
	}
	return nil, fmt.Errorf("mechanism %s is not known; there are PLAIN, LOGIN, SCRAM-SHA-256, SCRAM-SHA-1, XOAUTH2, OAUTHBEARER, EXTERNAL and %s", name, loginCommand)
}

// oneShot is a mechanism that says all at once. A challenge after that is the server's account of the failure, which
// must be answered before the server says NO (XOAUTH2, RFC 7628 3.2.3).
type oneShot struct {
	response, onFailure string
	said                string
	tells               bool // of a failure, by a challenge
}

func (m *oneShot) start() ([]byte, bool, error) { return []byte(m.response), true, nil }

func (m *oneShot) next(challenge []byte) ([]byte, error) {
	if len(challenge) == 0 && !m.tells {
		return nil, errStray
	}
	if m.said != "" {
		return nil, errors.New("the server asks again")
	}
	m.said = string(challenge) + " " // never empty from now on
	return []byte(m.onFailure), nil
}

func (m *oneShot) done() error     { return nil }
func (m *oneShot) failure() string { return strings.TrimSpace(m.said) }

// loginMechanism answers the name, then the password, whatever the prompts say.
type loginMechanism struct{ answers []string }

func (m *loginMechanism) start() ([]byte, bool, error) { return nil, false, nil }

func (m *loginMechanism) next([]byte) ([]byte, error) {
	if len(m.answers) == 0 {
		return nil, errStray
	}
	answer := m.answers[0]
	m.answers = m.answers[1:]
	return []byte(answer), nil
}

func (m *loginMechanism) done() error     { return nil }
func (m *loginMechanism) failure() string { return "" }

// maxIterations bounds the work that a server can ask of us; a second of it, or so.
const maxIterations = 5_000_000

// scramMechanism is SCRAM (RFC 5802, 7677) without channel binding.
type scramMechanism struct{ talk *scram.ClientConversation }

func newScram(hash scram.HashGeneratorFcn, who Credentials) (mechanism, error) {
	client, err := hash.NewClient(who.User, who.Secret, who.ActAs)
	if err != nil {
		return nil, errors.New("the name or password holds characters that SCRAM cannot send")
	}
	return &scramMechanism{talk: client.NewConversation()}, nil
}

func (m *scramMechanism) start() ([]byte, bool, error) {
	first, err := m.talk.Step("")
	return []byte(first), true, err
}

func (m *scramMechanism) next(challenge []byte) ([]byte, error) {
	if len(challenge) == 0 { // no message of a SCRAM server is (RFC 5802, 7)
		return nil, errStray
	}
	for field := range strings.SplitSeq(string(challenge), ",") {
		if count, ok := strings.CutPrefix(field, "i="); ok {
			if n, err := strconv.Atoi(count); err != nil || n > maxIterations {
				return nil, fmt.Errorf("the server asks for %.20s iterations", count)
			}
		}
	}
	answer, err := m.talk.Step(string(challenge))
	return []byte(answer), err
}

func (m *scramMechanism) done() error {
	if !m.talk.Valid() {
		return errors.New("the server has not proved that it knows the password")
	}
	return nil
}

func (m *scramMechanism) failure() string { return "" }
