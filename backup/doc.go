// Package backup takes a snapshot of a mail.Source into a repository: it asks
// what changed since the last one, fetches what the repository lacks, and
// writes the snapshot last, with the books of the run in it. It never writes to
// the source, and never reads a rule of the user as a deletion.
package backup
