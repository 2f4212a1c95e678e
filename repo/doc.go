// Package repo reads and writes restic repositories, format version 2: encrypted, deduplicated, checkable by restic itself.
// It knows blobs, packs, indexes, trees, snapshots and locks, never what the files of a snapshot mean.
//
// The order that keeps a repository whole at any moment of death:
//
//	write: packs (durable), then the index that names them (durable), then the snapshot that needs them
//	read:  snapshots first, then the index
//
// The program that writes holds a shared lock from before it trusts the index until its snapshot is there.
package repo
