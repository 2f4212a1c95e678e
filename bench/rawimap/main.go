// Command rawimap does over IMAP no more than what a backup cannot do without,
// as a measure for it: it reads every message by one pipelined UID FETCH on
// each of a few connections and drops it, or asks for the STATUS of each
// mailbox. It stores nothing and checks nothing.
//
//	rawimap -addr 127.0.0.1:143 -user alice -password x fetch     all of INBOX
//	rawimap ... -conns 4 fetch
//	rawimap ... status
package main

import (
	"bufio"
	"bytes"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
)

func main() {
	addr := flag.String("addr", "", "host:port")
	user := flag.String("user", "", "user")
	password := flag.String("password", "", "password")
	conns := flag.Int("conns", 1, "connections")
	flag.Parse()
	var err error
	switch flag.Arg(0) {
	case "fetch":
		err = fetch(*addr, *user, *password, *conns)
	case "status":
		err = status(*addr, *user, *password)
	default:
		err = fmt.Errorf("say fetch or status")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "rawimap:", err)
		os.Exit(1)
	}
}

// conn is a connection with a server that behaves well.
type conn struct {
	net.Conn
	r *bufio.Reader
}

func login(addr, user, password string) (*conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	k := &conn{c, bufio.NewReaderSize(c, 256<<10)}
	if _, err := k.r.ReadSlice('\n'); err != nil {
		return nil, err
	}
	return k, k.do(fmt.Sprintf("LOGIN %s %s", user, password), nil)
}

// do sends a command and reads to its end; line gets each untagged line.
func (c *conn) do(command string, line func([]byte)) error {
	if _, err := fmt.Fprintf(c, "a %s\r\n", command); err != nil {
		return err
	}
	for {
		b, err := c.r.ReadSlice('\n')
		switch {
		case err != nil:
			return err
		case bytes.HasPrefix(b, []byte("a OK")):
			return nil
		case bytes.HasPrefix(b, []byte("a ")):
			return fmt.Errorf("%s", bytes.TrimSpace(b))
		}
		b = bytes.TrimRight(b, "\r\n")
		if line != nil {
			line(b)
		}
		if i := bytes.LastIndexByte(b, '{'); i >= 0 && bytes.HasSuffix(b, []byte("}")) {
			n, err := strconv.Atoi(string(b[i+1 : len(b)-1]))
			if err != nil {
				return err
			}
			if _, err := io.CopyN(io.Discard, c.r, int64(n)); err != nil {
				return err
			}
		}
	}
}

func fetch(addr, user, password string, conns int) error {
	first, err := login(addr, user, password)
	if err != nil {
		return err
	}
	messages := 0
	err = first.do("EXAMINE INBOX", func(b []byte) {
		if n, ok := bytes.CutSuffix(b, []byte(" EXISTS")); ok {
			messages, _ = strconv.Atoi(string(n[2:]))
		}
	})
	if err != nil {
		return err
	}
	var all sync.WaitGroup
	errs := make([]error, conns)
	for n := range conns {
		all.Go(func() {
			c, err := first, error(nil)
			if n > 0 {
				if c, err = login(addr, user, password); err == nil {
					err = c.do("EXAMINE INBOX", nil)
				}
			}
			if err == nil {
				err = c.do(fmt.Sprintf("FETCH %d:%d (UID BODY.PEEK[])", n*messages/conns+1, (n+1)*messages/conns), nil)
			}
			errs[n] = err
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func status(addr, user, password string) error {
	c, err := login(addr, user, password)
	if err != nil {
		return err
	}
	return c.do(`LIST "" "*" RETURN (STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))`, nil)
}
