package mbox

import (
	"testing"

	"roost/mail"
	"roost/store/storetest"
)

func open(t *testing.T, path string, options Options) *Store {
	t.Helper()
	s, err := Open(t.Context(), path, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// The store keeps every sentence of the contract, but for names that are too long
// for a sidecar beside them.
func TestStore(t *testing.T) {
	storetest.Run(t, func(t *testing.T) mail.Store { return open(t, t.TempDir(), Options{Make: true}) }, storetest.Options{
		Reopen: func(t *testing.T, s mail.Store) mail.Store {
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			return open(t, s.(*Store).path, Options{})
		},
		RefusesName: func(name mail.Name) bool {
			for _, c := range name.Components() {
				if len(encode(c)) > maxComponent {
					return true
				}
			}
			return false
		},
	})
}
