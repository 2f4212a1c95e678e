//go:build !unix

package tree

import "os"

// SyncDir does nothing: directories cannot be synced.
func SyncDir(*os.Root, string) error { return nil }
