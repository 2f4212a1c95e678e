package backup

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ErrShrunk refuses a snapshot in which an account would be much smaller than in the last one: a disk that is not
// mounted, a wrong URL or a server that was set back look as if everything had been deleted. No snapshot is written then, so
// that the newest one still holds all; what is new was stored, and is found again.
var ErrShrunk = errors.New("refused, since much of the account is gone")

// ErrEmpty refuses the first snapshot of a store that shows no mailbox at all, as an empty directory does.
var ErrEmpty = errors.New("the store shows no mailbox at all")

// MaxShrink bounds by how much an account may shrink from one snapshot to the next. The zero value is DefaultMaxShrink.
type MaxShrink struct {
	n       int64
	percent bool
	set     bool
}

// The default lets people tidy up, and small accounts do as they like, as long as something is left.
const (
	defaultShrink = 50  // percent
	shrinkFreely  = 100 // messages; less is never too much by percent
)

// ParseMaxShrink reads a share, "50%", or a number of messages, "1000". "" is the default.
func ParseMaxShrink(text string) (MaxShrink, error) {
	if text == "" {
		return MaxShrink{}, nil
	}
	digits, percent := strings.CutSuffix(text, "%")
	n, err := strconv.ParseUint(digits, 10, 62)
	if err != nil || percent && n > 100 {
		return MaxShrink{}, fmt.Errorf("%q is neither a number of messages nor a share up to 100%%", text)
	}
	return MaxShrink{n: int64(n), percent: percent, set: true}, nil
}

// Allows reports whether an account of so many messages may come to hold only after. An account that had messages may become
// empty only with 100%.
func (m MaxShrink) Allows(before, after int64) bool {
	if !m.set {
		m = MaxShrink{n: defaultShrink, percent: true}
	}
	lost := before - after
	switch {
	case lost <= 0, m.percent && m.n == 100:
		return true
	case after == 0:
		return false
	case !m.percent:
		return lost <= m.n
	}
	return lost <= shrinkFreely || float64(lost) <= float64(before)*float64(m.n)/100
}

// guard refuses a snapshot that lacks too much of the last one. What is kept, failed or left out by a rule is not gone.
func (r *run) guard(after int64) error {
	if r.prev == nil {
		return nil
	}
	var before int64
	boxes := r.prev.Boxes()
	for i := range boxes {
		before += boxes[i].Messages
	}
	if r.o.MaxShrink.Allows(before, after) {
		return nil
	}
	return fmt.Errorf("%w: the last snapshot holds %d messages, this one would hold %d", ErrShrunk, before, after)
}
