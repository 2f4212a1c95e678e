// Package snapshot is mail inside a restic snapshot: how an account stands in
// its tree (doc/format.md), an encoder of that tree, and a mail.Source that
// reads it. It decides nothing about what to back up or restore, and knows
// nothing of packs and indexes; that is package repo.
package snapshot
