package mailsync

import (
	"context"
	"errors"
	"fmt"

	"roost/mail"
)

// maxTries is how often a message is asked for whose bytes break off.
const maxTries = 3

// errUnanswered is the failure of a message that a source passed over.
var errUnanswered = errors.New("the store did not answer for it")

// fetch reads the messages named by keys, each of which take gets once in full,
// or which is in the map returned, with the reason why not. take returns the
// error of reading the body; then it gets the message anew. The error is one
// that goes beyond a message.
func fetch(ctx context.Context, s mail.Source, name mail.Name, keys []mail.Key, part mail.Part, take func(mail.Fetched) error) (map[mail.Key]error, error) {
	var failures map[mail.Key]error
	open := make(map[mail.Key]bool, len(keys))
	for _, k := range keys {
		open[k] = true
	}
	giveUp := func(k mail.Key, err error) {
		if failures == nil {
			failures = make(map[mail.Key]error)
		}
		failures[k] = err
		delete(open, k)
	}
	broken := make(map[mail.Key]int) // bodies that broke off, how often
	idle := 0                        // tries since the last answer
	for len(open) > 0 {
		before := len(open)
		var stream error
		for f, err := range s.Fetch(ctx, name, keys, part) {
			if err != nil {
				key, one := mail.KeyOf(err)
				if !one {
					stream = err
					break
				}
				if open[key] {
					giveUp(key, err)
				}
				continue
			}
			if !open[f.Key] {
				continue
			}
			if err := take(f); err != nil {
				if broken[f.Key]++; broken[f.Key] == maxTries {
					giveUp(f.Key, fmt.Errorf("read: %w", err))
				}
				continue
			}
			delete(open, f.Key)
		}
		if len(open) == 0 {
			break
		}
		if err := context.Cause(ctx); err != nil {
			return failures, err
		}
		if stream != nil && damageOf(stream) != passing {
			return failures, stream
		}
		if idle++; len(open) < before {
			idle = 0
		}
		switch {
		case stream != nil && idle > len(pauses):
			return failures, stream
		case stream != nil:
			if err := pause(ctx, idle); err != nil {
				return failures, err
			}
		case idle == maxTries:
			for k := range open {
				giveUp(k, errUnanswered)
			}
		}
		keys = remaining(keys, open)
	}
	return failures, nil
}

func remaining(keys []mail.Key, open map[mail.Key]bool) []mail.Key {
	var out []mail.Key
	for _, k := range keys {
		if open[k] {
			out = append(out, k)
		}
	}
	return out
}
