package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"roost/config"
	"roost/job"
	"roost/repo"
)

func (a *app) keyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "key",
		Short: "List, add, remove and change the passwords of the repository",
		Long: `Key lists, adds, removes and changes the keys of the repository, each with a
password of its own; each opens it, for roost and for restic. Who ever had one
has had the master key: to shut somebody out for good, copy to a new repository.`,
		RunE: onlyCommands,
	}
	cmd.AddCommand(a.keyListCommand(), a.keyAddCommand(), a.keyRemoveCommand(), a.keyPasswdCommand())
	return cmd
}

// newKeyFlags say where a new password comes from.
type newKeyFlags struct {
	file, command, host, user string
	dryRun                    bool
}

func (f *newKeyFlags) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&f.file, "new-password-file", "", "`file` that holds the new password; without one, it is asked for")
	flags.StringVar(&f.command, "new-password-command", "", "`command` that prints the new password")
	flags.StringVar(&f.host, "host", "", "the `host` that the key is said to be of; default: this one")
	flags.StringVar(&f.user, "user", "", "the `user` that the key is said to be of; default: you")
	flags.BoolVarP(&f.dryRun, "dry-run", "n", false, "read the new password, change nothing")
	cmd.MarkFlagsMutuallyExclusive("new-password-file", "new-password-command")
}

func (f *newKeyFlags) options() repo.KeyOptions { return repo.KeyOptions{Host: f.host, User: f.user} }

func (f *newKeyFlags) password(ctx context.Context, env *job.Env) (repo.Password, error) {
	s, err := secretOf(f.file, f.command)
	if err != nil {
		return repo.Password{}, err
	}
	return env.NewPassword(ctx, s)
}

// keyLine is a key with --json.
type keyLine struct {
	ID      repo.ID   `json:"id"`
	Created time.Time `json:"created,omitzero"`
	User    string    `json:"user,omitempty"`
	Host    string    `json:"host,omitempty"`
	InUse   bool      `json:"in_use"`
	Error   string    `json:"error,omitempty"`
}

func (a *app) keyListCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the keys",
		Long: `List shows the keys of the repository: since when, of whom, and which one is in
use. It shows no password.`,
		Example: "  roost key list",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, r, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer r.Close()
			keys, err := r.Keys(cmd.Context())
			if err != nil {
				return err
			}
			rows := [][]string{{"id", "in use", "user", "host", "created"}}
			for _, k := range keys {
				line := keyLine{ID: k.ID, Created: k.Created, User: k.User, Host: k.Host, InUse: k.InUse}
				used, created := "", stamp(k.Created)
				if k.InUse {
					used = "yes"
				}
				if k.Err != nil {
					line.Error = k.Err.Error()
					created = "cannot be read: " + line.Error
				}
				if err := a.json("key", line); err != nil {
					return err
				}
				rows = append(rows, []string{k.ID.Short(), used, k.User, k.Host, created})
			}
			a.table(rows)
			return a.json("summary", map[string]any{"keys": len(keys)})
		},
	}
}

func (a *app) keyAddCommand() *cobra.Command {
	var f newKeyFlags
	cmd := &cobra.Command{
		Use:     "add",
		Short:   "Add a password",
		Long:    "Add makes one more key, with a new password, and proves that it opens the\nrepository.",
		Example: "  roost key add --new-password-file /etc/roost/second.key --user auditor",
		Args:    args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.newKey(cmd.Context(), &f, "added the key", func(env *job.Env, r *job.Repository) (repo.ID, error) {
				password, err := f.password(cmd.Context(), env)
				if err != nil || f.dryRun {
					return repo.ID{}, err
				}
				return r.AddKey(cmd.Context(), password, f.options())
			})
		},
	}
	f.register(cmd)
	return cmd
}

// newKey opens the repository, makes a key by make, and tells of it.
func (a *app) newKey(ctx context.Context, f *newKeyFlags, verb string, make func(*job.Env, *job.Repository) (repo.ID, error)) error {
	env, r, err := a.open(ctx)
	if err != nil {
		return err
	}
	defer r.Close()
	id, err := make(env, r)
	if err != nil {
		return err
	}
	if f.dryRun {
		a.printf("OK: dry run, no key was changed\n")
	} else {
		a.printf("OK: %s %s\n", verb, id.Short())
	}
	return a.json("summary", map[string]any{"id": fullIDOf(id), "dry_run": f.dryRun})
}

func (a *app) keyRemoveCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "remove KEY",
		Short: "Remove a password",
		Long: `Remove removes the key whose ID begins so. The key by which roost opened the
repository stays, so that the last one always does.`,
		Example: "  roost key remove 1f3a5b7c",
		Args:    args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			_, r, err := a.open(cmd.Context())
			if err != nil {
				return err
			}
			defer r.Close()
			id, err := r.RemoveKey(cmd.Context(), args[0], dryRun)
			if err != nil {
				return err
			}
			verb := "removed"
			if dryRun {
				verb = "dry run, would remove"
			}
			a.printf("OK: %s the key %s\n", verb, id.Short())
			return a.json("summary", map[string]any{"id": id.String(), "dry_run": dryRun})
		},
	}
	cmd.Flags().BoolVarP(&dryRun, "dry-run", "n", false, "say what would be removed, remove nothing")
	return cmd
}

func (a *app) keyPasswdCommand() *cobra.Command {
	var f newKeyFlags
	cmd := &cobra.Command{
		Use:   "passwd",
		Short: "Change the password in use",
		Long: `Passwd puts a new key in the place of the one in use: the new one is stored and
proven before the old one goes. Put the new password where roost looks for it.
A key file that roost generated gets a new key by itself.`,
		Example: `  roost key passwd
  roost key passwd --new-password-file /etc/roost/new.key`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx := cmd.Context()
			return a.newKey(ctx, &f, "the key in use is now", func(env *job.Env, r *job.Repository) (repo.ID, error) {
				if r.KeyFile != "" {
					if f.file != "" || f.command != "" {
						return repo.ID{}, usageError{hinted{fmt.Errorf("the key file %s is roost's own", r.KeyFile), "without --new-password it gets a new key; roost key add adds a password"}}
					}
					if f.dryRun {
						return repo.ID{}, nil
					}
					return r.ChangeKeyFile(ctx)
				}
				password, err := f.password(ctx, env)
				if err != nil || f.dryRun {
					return repo.ID{}, err
				}
				id, err := r.ChangePassword(ctx, password, f.options(), nil)
				if err == nil {
					a.note("put the new password where roost looks for it: roost config show --origin")
				}
				return id, err
			})
		},
	}
	f.register(cmd)
	return cmd
}

// secretOf is a secret that flags name; none is the zero one.
func secretOf(file, command string) (config.Secret, error) {
	if file != "" && command != "" {
		return config.Secret{}, usagef("a password comes from a file or from a command")
	}
	s := config.Secret{File: file}
	if command != "" {
		words, err := config.SplitCommand(command)
		if err != nil {
			return s, usageError{err}
		}
		s.Command = words
	}
	return s, nil
}
