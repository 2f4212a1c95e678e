// Package maildir is a mail.Store over Maildir++ and over Maildirs in a tree of
// directories, as Dovecot, Courier, mbsync and plain tools write them. It may
// be used beside them while they run.
//
// The rules:
//
//   - Reading never writes: no lock, no rename from new to cur, no number given.
//   - A message's key is its file name up to the ":" (its base name), which
//     flag changes and UIDs given later leave alone. Its GUID is what dovecot-uidlist
//     says after G, else the key, as for Dovecot, but only of a name that is made by
//     the rules of Maildir: a file "1" in another mailbox is another message. What a
//     program rewrites under its name has another date or size (mail.Changes.FileDates).
//   - UIDs are those of dovecot-uidlist, courierimapuiddb or mbsync. A file that
//     no record names has UID 0 until Dovecot has given it one. Without such a
//     list there are no UIDs, and none are made, unless Number asks for it.
//   - Whether anything changed is asked of four things: cur, new, the list of UIDs
//     and dovecot-keywords. The first two alone would miss UIDs that Dovecot gives to
//     files that came long before, a list that was made anew, and keywords that
//     are written after the files that have them were renamed. The list is opened
//     for its UIDVALIDITY anyway, so three names are looked up a mailbox.
//   - Bytes are those of the file. What Dovecot compressed is decompressed, up to 1 GiB.
//   - Who adds to dovecot-uidlist or dovecot-keywords holds
//     dovecot-uidlist.lock, as Dovecot does. Renaming a file to change its flags
//     and removing it need no lock; who finds a file gone looks for its base
//     name under another name.
//   - dovecot.index files are Dovecot's alone. It brings them up to date by what
//     it sees in cur, new and dovecot-uidlist.
package maildir
