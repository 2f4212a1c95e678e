package main

import (
	"cmp"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roost/job"
	"roost/mail"
)

// maxCandidates is how many snapshots one Tab lists: the newest.
const maxCandidates = 200

// completeAccounts finds the accounts of the configuration.
func (a *app) completeAccounts(context.Context, *cobra.Command, []string, string) []candidate {
	env, err := a.silentEnv()
	if err != nil {
		return nil
	}
	var all []candidate
	for _, account := range env.Config.Accounts() {
		all = append(all, candidate{text: account.Name, about: account.Store})
	}
	return all
}

// completeStored finds the accounts that the repository holds snapshots of.
func (a *app) completeStored(ctx context.Context, _ *cobra.Command, _ []string, _ string) (all []candidate) {
	a.peek(ctx, func(_ *job.Env, r *job.Repository) {
		heads, _ := r.Heads(ctx)
		for _, i := range newestOfEach(heads) {
			all = append(all, candidate{text: heads[i].Account, about: "last snapshot " + stamp(heads[i].Time)})
		}
	})
	return all
}

// completeHolds finds the IDs of holds.
func (a *app) completeHolds(ctx context.Context, _ *cobra.Command, _ []string, _ string) (all []candidate) {
	a.peek(ctx, func(_ *job.Env, r *job.Repository) {
		list, _ := r.Held(ctx)
		for _, h := range list {
			all = append(all, candidate{text: h.ID.Short(), about: h.Reason})
		}
	})
	return all
}

// completeKeys finds the IDs of the keys that can be removed.
func (a *app) completeKeys(ctx context.Context, _ *cobra.Command, _ []string, _ string) (all []candidate) {
	a.peek(ctx, func(_ *job.Env, r *job.Repository) {
		keys, _ := r.Keys(ctx)
		for _, k := range keys {
			if !k.InUse {
				all = append(all, candidate{text: k.ID.Short(), about: k.User + "@" + k.Host})
			}
		}
	})
	return all
}

// completeSnapshots finds "latest", "latest:ACCOUNT" and the IDs of snapshots.
func (a *app) completeSnapshots(ctx context.Context, _ *cobra.Command, _ []string, typed string) (all []candidate) {
	a.peek(ctx, func(_ *job.Env, r *job.Repository) {
		heads, _ := r.Heads(ctx)
		newest := newestOfEach(heads)
		if len(newest) == 1 {
			all = append(all, candidate{text: "latest", about: stamp(heads[newest[0]].Time)})
		}
		for _, i := range newest {
			all = append(all, candidate{text: "latest:" + heads[i].Account, about: stamp(heads[i].Time)})
		}
		n := 0
		for _, h := range heads {
			id := h.ID.Short()
			if len(typed) > len(id) {
				id = h.ID.String()
			}
			if n == maxCandidates {
				break
			}
			if strings.HasPrefix(id, typed) {
				n++
				all = append(all, candidate{text: id, about: stamp(h.Time) + " " + h.Account})
			}
		}
	})
	return all
}

// newestOfEach are the places in heads, which are newest first, of the newest
// of each account.
func newestOfEach(heads []job.Head) []int {
	var places []int
	seen := map[string]bool{}
	for i, h := range heads {
		if !seen[h.Account] {
			seen[h.Account] = true
			places = append(places, i)
		}
	}
	slices.SortFunc(places, func(i, j int) int { return strings.Compare(heads[i].Account, heads[j].Account) })
	return places
}

// completeMailboxes finds the mailboxes of the snapshot that the first argument
// names; of backup, those of the account's newest.
func (a *app) completeMailboxes(ctx context.Context, cmd *cobra.Command, args []string, _ string) (all []candidate) {
	spec := ""
	if len(args) > 0 {
		spec = args[0]
	}
	if cmd.Name() == "backup" {
		if names, err := cmd.Flags().GetStringArray("user"); err == nil && len(names) > 0 {
			spec = names[0]
		}
		spec = strings.TrimSuffix("latest:"+spec, ":")
	}
	if spec == "" {
		return nil
	}
	a.peek(ctx, func(env *job.Env, r *job.Repository) {
		var at time.Time
		if text, err := cmd.Flags().GetString("at"); err == nil {
			if at, err = env.ParseAt(text); err != nil {
				return
			}
		}
		sn, err := r.Find(ctx, spec, at)
		if err != nil {
			return
		}
		for _, box := range sn.Source.Boxes() {
			if !box.NoSelect {
				all = append(all, candidate{text: string(box.Name), about: count(box.Messages, "message")})
			}
		}
	})
	return all
}

// maskRunes are written with a backslash in a mask, to mean themselves.
var maskRunes = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`)

// completeMasks finds masks: the names of mailboxes, and roles.
func (a *app) completeMasks(ctx context.Context, cmd *cobra.Command, args []string, typed string) []candidate {
	if strings.HasPrefix(typed, `\`) {
		var roles []candidate
		for _, role := range []mail.Role{mail.RoleAll, mail.RoleArchive, mail.RoleDrafts, mail.RoleFlagged, mail.RoleImportant,
			mail.RoleJunk, mail.RoleSent, mail.RoleTrash} {
			roles = append(roles, candidate{text: string(role), about: "by role, whatever it is called"})
		}
		return roles
	}
	all := a.completeMailboxes(ctx, cmd, args, typed)
	for i := range all {
		all[i].text = maskRunes.Replace(all[i].text)
	}
	return all
}

// schemes begin the URLs of stores.
var schemes = []candidate{
	{"maildir:", "a Maildir", true}, {"mbox:", "an mbox file, or a tree of them", true}, {"eml:", "a tree of .eml files", true},
	{"imaps://", "IMAP over TLS", true}, {"imap://", "IMAP with STARTTLS", true},
}

// completeStores finds what the URL of a store can begin with, and behind that
// the directories, or files, that there are.
func completeStores(_ context.Context, _ *cobra.Command, _ []string, typed string) []candidate {
	scheme, path, found := strings.Cut(typed, ":")
	if !found {
		return schemes
	}
	if scheme != "maildir" && scheme != "mbox" && scheme != "eml" {
		return nil
	}
	dir, _ := filepath.Split(path)
	entries, err := os.ReadDir(cmp.Or(dir, "."))
	if err != nil {
		return nil
	}
	var all []candidate
	for _, e := range entries {
		hidden := strings.HasPrefix(e.Name(), ".") && !strings.HasPrefix(filepath.Base(path), ".")
		info, err := os.Stat(filepath.Join(dir, e.Name())) // behind links
		switch {
		case err != nil, hidden:
		case info.IsDir():
			all = append(all, candidate{text: scheme + ":" + dir + e.Name() + "/", open: true})
		case scheme == "mbox":
			all = append(all, candidate{text: scheme + ":" + dir + e.Name()})
		}
	}
	return all
}

// silentEnv is env for completions: it tells nothing and asks nobody.
func (a *app) silentEnv() (*job.Env, error) {
	a.flags.quiet, a.flags.verbose = true, 0
	env, err := a.env()
	if err != nil {
		return nil, err
	}
	env.Ask.Prompt, env.Ask.Stderr = nil, nil
	return env, nil
}

// peek opens the repository and calls look, if the password is at hand. A
// command that prints it is not run: it may ask.
func (a *app) peek(ctx context.Context, look func(*job.Env, *job.Repository)) {
	env, err := a.silentEnv()
	if err != nil || len(env.Config.Repository.Command) > 0 || len(env.Config.Repository.Server.Command) > 0 {
		return
	}
	r, err := env.OpenRepository(ctx)
	if err != nil {
		return
	}
	defer r.Close()
	look(env, r)
}
