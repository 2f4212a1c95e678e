package imap

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// A large literal that is longer or shorter than its head says never passes for the message: its reader ends with an
// error, whatever was said of the size, and the connection ends with it.
func TestLyingLiteralIsNoMessage(t *testing.T) {
	message := strings.Repeat("0123456789abcd\r\n", 2*maxBuffered/16)
	for name, c := range map[string]struct {
		by   int    // how much the head lies by
		size string // what is said of the size before
		tail string
		want error
	}{
		"true":                          {0, "", ")\r\n", nil},
		"true, with an item behind":     {0, "", " FLAGS (\\Seen))\r\n", nil},
		"true, with items outside":      {0, "", ") UID 1\r\n", nil},
		"true, and the size vouches":    {0, "RFC822.SIZE %d ", " X-ODD 1)\r\n", nil},
		"too short":                     {-7, "", ")\r\n", errLength},
		"too short by a word":           {-len("0123456789abcd\r\n"), "", ")\r\n", errLength},
		"too long":                      {4, "", ")\r\n* 2 FETCH (UID 2 FLAGS ())\r\n", errLength},
		"too long, to a line of others": {3, "", ")\r\n* 2 FETCH (UID 2 FLAGS ())\r\n", errLength},
		"too long, to the end":          {400, "", ")\r\nA1 OK done\r\n", io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			size := ""
			if c.size != "" {
				size = fmt.Sprintf(c.size, len(message))
			}
			wire := fmt.Sprintf("* 1 FETCH (UID 1 %sBODY[] {%d}\r\n%s%s", size, len(message)+c.by, message, c.tail)
			client := replayed([]byte(wire))
			var got error
			var n int
			client.pending = []*Pending{{onFetch: func(f *Fetch) error {
				b := make([]byte, f.BodySize)
				n, got = io.ReadFull(f.Body, b) // a reader that counts does not see io.EOF
				return nil
			}}}
			_, err := client.readResponse()
			if !errors.Is(got, c.want) || c.want != nil && n == len(message)+c.by {
				t.Errorf("read %d octets, %v; want all only without an error, %v", n, got, c.want)
			}
			if !errors.Is(err, c.want) {
				t.Errorf("the connection ends with %v, want %v", err, c.want)
			}
		})
	}
}
