package main

// What shells complete is looked up here: accounts in the configuration,
// snapshots and mailboxes in the repository. The rules: nothing is asked, no
// command that prints a password is run, nothing is printed or written, and
// after completeTime the user has waited long enough.

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"roost/query"
)

// completeTime is how long one Tab may take.
const completeTime = 5 * time.Second

// candidate is one completion.
type candidate struct {
	text  string
	about string // a word of what it is; may be ""
	open  bool   // it goes on: no blank is put behind it
}

// completer finds candidates for the word that begins with typed; args are
// the arguments in front of it.
type completer func(ctx context.Context, cmd *cobra.Command, args []string, typed string) []candidate

// complete makes a completer one of cobra's. It leaves out what does not begin
// as typed, or cannot be shown on a terminal.
func complete(find completer) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		ctx, cancel := context.WithTimeout(cmd.Context(), completeTime)
		defer cancel()
		found := make(chan []candidate, 1)
		// Nobody waits for this goroutine if it hangs, as on a dead network file
		// system: the program ends at once.
		go func() { found <- find(ctx, cmd, args, typed) }()
		var list []candidate
		select {
		case list = <-found:
		case <-ctx.Done():
		}
		var out []cobra.Completion
		directive := cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
		closed := false
		for _, c := range list {
			if c.text == "" || c.text != printable(c.text) || !strings.HasPrefix(c.text, typed) {
				continue
			}
			closed = closed || !c.open
			if c.about != "" {
				c.text = cobra.CompletionWithDesc(c.text, printable(c.about))
			}
			out = append(out, c.text)
		}
		if !closed && len(out) > 0 {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		return out, directive
	}
}

// completions says what is completed: the arguments of commands, and the values
// of flags. Where nothing is known, no names of files are offered either.
func (a *app) completions(root *cobra.Command) {
	masks := behind(a.completeSnapshots, a.completeMasks)
	stored, accountsOrStores := once(a.completeStored), join(once(a.completeAccounts), completeStores)
	arguments := map[string]cobra.CompletionFunc{
		"backup": complete(accountsOrStores), "account test": complete(accountsOrStores),
		"account add": complete(places(nil, completeStores)),
		"restore":     complete(places(a.completeSnapshots)), "ledger": complete(places(a.completeSnapshots)),
		"diff": complete(places(a.completeSnapshots, a.completeSnapshots)),
		"ls":   complete(masks), "stats": complete(masks), "index": complete(masks),
		"cat":       complete(places(a.completeSnapshots, a.completeMailboxes)),
		"snapshots": complete(places(a.completeStored)), "problems": complete(stored), "erase": complete(stored),
		"forget": complete(once(a.completeSnapshots)), "tag": complete(once(a.completeSnapshots)), "copy": complete(once(a.completeSnapshots)),
		"hold add": complete(once(a.completeSnapshots)), "hold remove": complete(places(a.completeHolds)), "key remove": complete(places(a.completeKeys)),
		"search": complete(completeFields),
		"demo":   directories, "generate man": directories,
	}
	flags := map[string]cobra.CompletionFunc{
		"user": complete(a.completeAccounts), "from": complete(completeStores), "to": complete(join(a.completeAccounts, completeStores)),
		"folder": complete(a.completeMasks), "exclude": complete(a.completeMasks),
		"collisions": complete(words("skip", "leave alone what is there", "copy", "add another copy", "replace", "make it as it is in the snapshot")),
		"date":       complete(words("internal", "when the store received the message", "header", "the Date field")),
		"repo":       completeLocations, "to-repo": completeLocations, "account": complete(a.completeStored),
		"group-by": complete(words("paths", "each account by itself", "host,paths", "as restic does by default", "host", "", "tags", "")),
	}
	for _, name := range []string{"config", "password-file", "to-password-file", "new-password-file", "store-password-file", "secret-file", "accounts-from", "map", "cacert", "tls-client-cert"} {
		flags[name] = fileNames
	}
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	register(root, "", arguments, flags)
}

// register gives cmd, which path names without the program, and all commands
// below it what is completed.
func register(cmd *cobra.Command, path string, arguments, flags map[string]cobra.CompletionFunc) {
	if find, ok := arguments[path]; ok {
		cmd.ValidArgsFunction = find
	}
	own := cmd.PersistentFlags()
	if cmd.HasParent() {
		own = cmd.LocalNonPersistentFlags()
	}
	for name, find := range flags {
		if own.Lookup(name) == nil {
			continue
		}
		if err := cmd.RegisterFlagCompletionFunc(name, find); err != nil {
			panic(err) // it is registered twice
		}
	}
	for _, sub := range cmd.Commands() {
		register(sub, strings.TrimSpace(path+" "+sub.Name()), arguments, flags)
	}
}

// completeFields offers what may stand before a colon in a query.
func completeFields(context.Context, *cobra.Command, []string, string) (all []candidate) {
	for _, name := range query.FieldNames() {
		all = append(all, candidate{text: name + ":", open: true})
	}
	return all
}

func directories(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}

// completeLocations offers how a location may begin, and directories.
func completeLocations(_ *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var begin []cobra.Completion
	for _, kind := range []string{"rest:https://", "sftp:", "s3:https://"} {
		if typed != "" && strings.HasPrefix(kind, typed) {
			begin = append(begin, kind)
		}
	}
	if len(begin) == 0 {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	return begin, cobra.ShellCompDirectiveNoSpace | cobra.ShellCompDirectiveNoFileComp
}

func fileNames(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveDefault
}

// places completes each argument by its own completer, and none behind them.
func places(find ...completer) completer {
	return func(ctx context.Context, cmd *cobra.Command, args []string, typed string) []candidate {
		if len(args) >= len(find) || find[len(args)] == nil {
			return nil
		}
		return find[len(args)](ctx, cmd, args, typed)
	}
}

// behind completes the first argument by first and all others by rest.
func behind(first, rest completer) completer {
	return func(ctx context.Context, cmd *cobra.Command, args []string, typed string) []candidate {
		if len(args) == 0 {
			return first(ctx, cmd, args, typed)
		}
		return once(rest)(ctx, cmd, args, typed)
	}
}

// once leaves out what is among the arguments already.
func once(find completer) completer {
	return func(ctx context.Context, cmd *cobra.Command, args []string, typed string) []candidate {
		return slices.DeleteFunc(find(ctx, cmd, args, typed), func(c candidate) bool { return slices.Contains(args, c.text) })
	}
}

func join(find ...completer) completer {
	return func(ctx context.Context, cmd *cobra.Command, args []string, typed string) (all []candidate) {
		for _, f := range find {
			all = append(all, f(ctx, cmd, args, typed)...)
		}
		return all
	}
}

// words are fixed candidates, each with what it is about.
func words(pairs ...string) completer {
	var all []candidate
	for pair := range slices.Chunk(pairs, 2) {
		all = append(all, candidate{text: pair[0], about: pair[1]})
	}
	return func(context.Context, *cobra.Command, []string, string) []candidate { return all }
}
