package imaptest

import (
	"bufio"
	"errors"
	"io"
	"strings"
	"testing"
)

// The parser of commands neither panics nor stands still, whatever it reads.
func FuzzReadCommand(f *testing.F) {
	for _, seed := range []string{
		"a NOOP\r\n", "a UID FETCH 1:* (FLAGS BODY.PEEK[HEADER.FIELDS (DATE)]<0.10>) (CHANGEDSINCE 5)\r\n",
		"a LOGIN {1+}\r\nx {2}\r\nyz\r\n", "a LIST (SUBSCRIBED) \"\" (\"a\\\"\" %)\r\n", "a X ((((\r\n", "a )\r\n", "\r\n", "a UID\r\n",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := bufio.NewReader(strings.NewReader(text))
		for range 1000 {
			c, err := readCommand(r, func(size int64, _ bool) error {
				if size > 1<<20 {
					return io.ErrUnexpectedEOF
				}
				return nil
			})
			switch {
			case err == nil && c.Name == "":
				t.Fatal("a command without a name")
			case err != nil && !errors.Is(err, errSyntax):
				return
			}
		}
	})
}
