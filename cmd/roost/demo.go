package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"roost/job"
	"roost/mail"
	"roost/store"
)

func (a *app) demoCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "demo [DIRECTORY]",
		Short: "Show on a sample account what roost does",
		Long: `Demo makes a sample account from mail that the program carries, backs it up,
changes it, backs it up again, looks at the difference, loses a message and
restores it, and checks the repository. It prints each command before it runs
it, and leaves everything in a new directory to look at. Your own configuration
and repository are not touched.`,
		Example: `  roost demo
  roost demo /tmp/roost-demo`,
		Args: args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := ""
			if len(args) > 0 {
				dir = args[0]
			}
			return a.demo(cmd.Context(), dir)
		},
	}
}

// demo is one run of it.
type demo struct {
	*app
	dir  string
	mail string // the URL of the sample account
	env  map[string]string
}

func (a *app) demo(ctx context.Context, dir string) error {
	dir, err := demoDir(dir)
	if err != nil {
		return err
	}
	d := &demo{app: a, dir: dir, mail: "maildir:" + filepath.Join(dir, "alice"), env: map[string]string{
		"XDG_CONFIG_HOME": filepath.Join(dir, "config"),
		"XDG_DATA_HOME":   filepath.Join(dir, "data"),
		"XDG_CACHE_HOME":  filepath.Join(dir, "cache"),
	}}
	a.printf("# Everything of this demonstration is in %s.\n# To go on with it by hand:\n", dir)
	for _, name := range []string{"XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"} {
		a.printf("export %s=%s\n", name, quoteWord(d.env[name]))
	}
	if err := d.story(ctx); err != nil {
		return err
	}
	a.printf("\n# That was all. In %s there are now\n#   alice             the sample account, a Maildir\n"+
		"#   data/roost        the repository: restic reads it too\n#   config/roost      its key; of yours, keep a copy elsewhere\n", dir)
	return a.json("summary", map[string]any{"directory": dir, "ok": true})
}

// demoDir is a directory that is new or empty.
func demoDir(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "roost-demo-")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		return "", usageError{hinted{fmt.Errorf("%s is not empty", dir), "name another directory, or none"}}
	}
	return dir, os.MkdirAll(dir, 0o700)
}

// story is what is told.
func (d *demo) story(ctx context.Context) error {
	d.tell("An account is made: %s.", d.mail)
	if err := d.change(ctx, func(s mail.Store) error {
		n, err := fillSample(ctx, s)
		d.printf("# %s in %s\n", count(int64(n), "message"), count(int64(len(sampleBoxes)), "mailbox"))
		return err
	}); err != nil {
		return err
	}

	d.tell("It is backed up. Nothing is configured, so a repository is made, and a key for it.")
	if err := d.run(ctx, exitOK, "backup", "--from", d.mail, "-u", "alice"); err != nil {
		return err
	}

	d.tell("Mail arrives, some is read, a message moves to the archive, one is deleted.")
	if err := d.change(ctx, func(s mail.Store) error { return aDayLater(ctx, s) }); err != nil {
		return err
	}
	d.tell("It is backed up again: only what changed is read.")
	if err := d.run(ctx, exitOK, "backup", "--from", d.mail, "-u", "alice"); err != nil {
		return err
	}

	d.tell("The snapshots, the books of the last run, and the difference.")
	first, err := d.firstSnapshot(ctx)
	if err != nil {
		return err
	}
	for _, step := range []struct {
		code int
		args []string
	}{
		{exitOK, []string{"snapshots"}},
		{exitOK, []string{"ledger", "latest:alice"}},
		{exitDifferent, []string{"diff", first, "latest:alice"}},
		{exitOK, []string{"ls", "latest:alice", "旅行"}},
	} {
		if err := d.run(ctx, step.code, step.args...); err != nil {
			return err
		}
	}

	d.tell("A message is lost by mistake...")
	if err := d.change(ctx, func(s mail.Store) error { return lose(ctx, s, d.app) }); err != nil {
		return err
	}
	d.tell("...and restored. What is still there is recognised; a second run adds nothing.")
	for range 2 {
		if err := d.run(ctx, exitOK, "restore", "latest:alice", "--to", d.mail, "--folder", "INBOX", "--in-place"); err != nil {
			return err
		}
	}

	d.tell("The repository is whole.")
	return d.run(ctx, exitOK, "check", "--read-data")
}

// tell prints a line of the story.
func (d *demo) tell(format string, args ...any) { d.printf("\n# "+format+"\n", args...) }

// run prints a command and runs it, as the shell would, in the demo's
// environment.
func (d *demo) run(ctx context.Context, want int, args ...string) error {
	if d.flags.json {
		args = append([]string{"--json"}, args...)
	}
	words := make([]string, len(args))
	for i, arg := range args {
		words[i] = quoteWord(arg)
	}
	d.printf("\n$ roost %s\n", strings.Join(words, " "))
	if err := d.json("command", map[string]any{"args": args}); err != nil {
		return err
	}
	sub := newApp(d.stdin, d.stdout, d.stderr, d.getenv)
	if code := sub.run(ctx, args); code != want {
		return said{fmt.Errorf("roost %s: exit code %d, want %d", args[0], code, want)}
	}
	return nil
}

// getenv is the environment of the commands: nothing of the user's own roost or restic.
func (d *demo) getenv(name string) string {
	if value, ok := d.env[name]; ok {
		return value
	}
	if strings.HasPrefix(name, "ROOST_") || strings.HasPrefix(name, "RESTIC_") {
		return ""
	}
	return d.app.getenv(name)
}

// change opens the account and changes it, as a mail client would.
func (d *demo) change(ctx context.Context, do func(mail.Store) error) error {
	s, err := store.Open(ctx, d.mail, store.Options{Make: true})
	if err != nil {
		return err
	}
	return errors.Join(do(s), s.Close())
}

// aDayLater is what happens to the account between two backups.
func aDayLater(ctx context.Context, s mail.Store) error {
	if _, err := appendSample(ctx, s, mail.Inbox, "later"); err != nil {
		return err
	}
	inbox, err := s.Changes(ctx, mail.Inbox, "")
	if err != nil {
		return err
	}
	key := func(i int) []mail.Key { return []mail.Key{inbox.Messages[i].Key} }
	if err := s.SetFlags(ctx, mail.Inbox, key(3), mail.FlagsOf(mail.Seen, "$Work"), ""); err != nil {
		return err
	}
	if _, err := s.Move(ctx, mail.Inbox, key(5), "Archive/2025"); err != nil {
		return err
	}
	junk, err := s.Changes(ctx, "Junk", "")
	if err != nil {
		return err
	}
	return s.Expunge(ctx, "Junk", []mail.Key{junk.Messages[0].Key})
}

// lose expunges a message of the inbox that carries an attachment.
func lose(ctx context.Context, s mail.Store, a *app) error {
	inbox, err := s.Changes(ctx, mail.Inbox, "")
	if err != nil {
		return err
	}
	largest := slices.MaxFunc(inbox.Messages, func(x, y mail.Message) int { return int(x.Size - y.Size) })
	a.printf("# INBOX message %s is gone\n", largest.Key)
	return s.Expunge(ctx, mail.Inbox, []mail.Key{largest.Key})
}

// firstSnapshot is the short ID of the account's first snapshot.
func (d *demo) firstSnapshot(ctx context.Context) (string, error) {
	sub := newApp(d.stdin, d.stdout, d.stderr, d.getenv)
	_, r, err := sub.open(ctx)
	if err != nil {
		return "", err
	}
	defer r.Close()
	list, _, err := r.Snapshots(ctx, "alice")
	if err != nil || len(list) == 0 {
		return "", errors.Join(err, job.ErrWhichSnapshot)
	}
	return list[0].ID.Short(), nil
}

// quoteWord is a word as a shell wants it.
func quoteWord(word string) string {
	if word != "" && !strings.ContainsFunc(word, func(r rune) bool {
		return !strings.ContainsRune("-_./:=@%+,", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
