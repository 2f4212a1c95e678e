package maildir

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
)

// maildirsize, in the root of a Maildir++, holds the quota and under it what came
// and went since it was counted, a line each of octets and messages. Who writes adds
// a line, without a lock; who asks adds them up, and counts anew when there are many.
// The folder Trash does not count. Here lines are added where the file is there; no
// message is refused, since a restore is what a user asked for.

const (
	quotaFile = "maildirsize"
	quotaLine = 13 // octets of a line without its end; shorter ones are filled up, as Courier does
	trashDir  = ".Trash"
)

// tally is what came into a mailbox, less what went.
type tally struct {
	octets, messages int64
}

func (t *tally) add(octets int64) {
	t.octets += octets
	t.messages++
}

// account adds a line for what came to and went from the mailbox in dir. That it
// cannot is no failure of what was done, and is mended when somebody counts.
func (s *Store) account(dir string, came, went tally) {
	if s.options.FS || dir == trashDir {
		return
	}
	octets, messages := came.octets-went.octets, came.messages-went.messages
	if octets == 0 && messages == 0 {
		return
	}
	f, err := s.root.OpenFile(quotaFile, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return
	}
	_, err = fmt.Fprintf(f, "%*s\n", quotaLine, fmt.Sprint(octets, " ", messages))
	_ = errors.Join(err, f.Close())
}

// tallyOf is all that is in a mailbox, if anybody counts it.
func (s *Store) tallyOf(ctx context.Context, b box) (all tally, err error) {
	if _, err := s.root.Lstat(quotaFile); err != nil || s.options.FS || b.dir == trashDir {
		return tally{}, nil
	}
	l, err := s.rescan(ctx, b.dir)
	if err != nil {
		return tally{}, err
	}
	for _, f := range l.files {
		all.add(s.sizeOf(b, l.path(f)))
	}
	return all, nil
}

// sizeOf is how much a file counts, by its name or else by a look at
// it; file is its path below the mailbox.
func (s *Store) sizeOf(b box, file string) int64 {
	name := path.Base(file)
	if n, ok := field(name[:baseLen(name)], 'S'); ok {
		return n
	}
	info, err := s.root.Stat(b.path(file))
	if err != nil {
		return 0
	}
	return info.Size()
}
