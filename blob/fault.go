package blob

import "errors"

// What can befall a call to a place that somebody else runs. Callers tell users what to do about each.
var (
	// ErrConnect says that the place does not answer: no route, no such host, a connection that was cut or went dead.
	ErrConnect = errors.New("no connection")

	// ErrUntrusted says that the server is not who it should be: its certificate or its host key is not the right one.
	ErrUntrusted = errors.New("the server cannot be trusted")

	// ErrAccess says that the place is there and does not let us in: wrong credentials, none, or not the right for this.
	ErrAccess = errors.New("access denied")

	// ErrAppendOnly says that the place takes new objects and removes none, as it was set up to do.
	ErrAppendOnly = errors.New("the place is append-only: it removes nothing")

	// ErrBusy says that the server asked us to slow down, for longer than we were ready to.
	ErrBusy = errors.New("the server is too busy")

	// ErrNoSpace says that there is no room for another object.
	ErrNoSpace = errors.New("no space left there")
)

// temporary marks an error that may be over when the call is made again.
type temporary struct{ error }

func (t temporary) Unwrap() error { return t.error }

// Temporary marks err as one that may be over soon, so that a Remote makes the call again; nil stays nil.
func Temporary(err error) error {
	if err == nil {
		return nil
	}
	return temporary{err}
}

// IsTemporary reports whether err, or what it wraps, was marked by Temporary.
func IsTemporary(err error) bool {
	var t temporary
	return errors.As(err, &t)
}
