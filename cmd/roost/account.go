package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"roost/config"
	"roost/job"
	"roost/mail"
	"roost/store"
)

func (a *app) accountCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "account",
		Short: "Add, list and test accounts",
		Long:  "Account adds accounts to the configuration, lists those there are, and tests\nwhether they can be read.",
		RunE:  onlyCommands,
	}
	cmd.AddCommand(a.accountAddCommand(), a.accountListCommand(), a.accountTestCommand())
	return cmd
}

func (a *app) accountAddCommand() *cobra.Command {
	var account config.Account
	var command string
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "add NAME STORE",
		Short: "Add an account to the configuration",
		Long: `Add writes an account to the configuration: into the file that --config names,
else into a file of its own in conf.d of your configuration directory. STORE is
a URL: imaps://USER@HOST, maildir:PATH, mbox:PATH, eml:PATH. Secrets are never
written there, only where they are.`,
		Example: `  roost account add alice imaps://alice@mail.example.com --secret-command 'pass show mail/alice'
  roost account add archive maildir:/srv/mail/archive`,
		Args: args(cobra.ExactArgs(2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			account.Name, account.Store = args[0], args[1]
			if command != "" {
				words, err := config.SplitCommand(command)
				if err != nil {
					return usagef("--secret-command: %w", err)
				}
				account.Command = words
			}
			return a.accountAdd(&account, dryRun)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&account.Secret.File, "secret-file", "", "`file` that holds the password")
	flags.StringVar(&command, "secret-command", "", "`command` that prints the password; no shell")
	flags.StringVar(&account.Secret.Env, "secret-env", "", "environment `variable` that holds the password")
	flags.StringVar(&account.Secret.Credential, "secret-credential", "", "systemd `credential` that holds the password")
	flags.BoolVar(&account.Secret.Prompt, "secret-prompt", false, "ask for the password on the terminal")
	flags.StringArrayVar(&account.Tags, "tag", nil, "give its snapshots this `tag`; may be given several times")
	flags.StringArrayVar(&account.Folders, "folder", nil, "only this `mailbox` and those below it; may be given several times")
	flags.StringArrayVar(&account.Exclude, "exclude", nil, "not this `mailbox` and those below it; may be given several times")
	flags.BoolVarP(&dryRun, "dry-run", "n", false, "say what would be written and where, write nothing")
	return cmd
}

func (a *app) accountAdd(account *config.Account, dryRun bool) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	if err := config.CheckAccountName(account.Name); err != nil {
		return usageError{err}
	}
	if _, err := store.Parse(account.Store); err != nil {
		return usageError{err}
	}
	if _, there := env.Config.Account[account.Name]; there {
		return usageError{hinted{fmt.Errorf("account %s is there already", account.Name), "edit the configuration: roost config show --origin tells where"}}
	}
	if env.Config.Account == nil {
		env.Config.Account = map[string]*config.Account{}
	}
	env.Config.Account[account.Name] = account
	if err := env.Config.Check(); err != nil {
		return err
	}
	file := a.flags.config
	if file == "" {
		file = a.getenv("ROOST_CONFIG")
	}
	if file == "" {
		if env.Paths.Config == "" {
			return usagef("there is no configuration directory: neither XDG_CONFIG_HOME nor HOME is set")
		}
		file = filepath.Join(env.Paths.Config, "conf.d", fileOf(account.Name)+".toml")
	}
	line := map[string]any{"account": account.Name, "file": file}
	if dryRun {
		line["dry_run"] = true
		a.printf("would add account %s to %s:\n", printable(account.Name), printable(file))
		for text := range strings.Lines(account.Encode()) {
			a.printf("  %s\n", printable(strings.TrimRight(text, "\n")))
		}
		a.printf("dry run, nothing was written\n")
		return a.json("account_added", line)
	}
	if err := appendFile(file, account.Encode()); err != nil {
		return fmt.Errorf("add account %s: %w", account.Name, err)
	}
	a.printf("added account %s to %s\n", printable(account.Name), printable(file))
	return a.json("account_added", line)
}

// fileOf makes a file name of an account's name: other characters than letters,
// digits, ".", "-", "_" and "@" become "_", and so does a dot in front. Two accounts may share one.
func fileOf(name string) string {
	file := strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune(".-_@", r) {
			return r
		}
		return '_'
	}, name)
	if strings.HasPrefix(file, ".") {
		file = "_" + file[1:]
	}
	return file
}

// appendFile adds text to the end of a file, which a reader sees with all of
// it or without.
func appendFile(file, text string) error {
	old, err := os.ReadFile(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(old) > 0 {
		text = strings.TrimRight(string(old), "\n") + "\n\n" + text
	}
	dir := filepath.Dir(file)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, "."+filepath.Base(file)+"-") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}

func (a *app) accountListCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Short:   "List the accounts of the configuration",
		Long:    "List prints the accounts of the configuration, their stores, and where their\npasswords are.",
		Example: "  roost account list",
		Args:    args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			env, err := a.env()
			if err != nil {
				return err
			}
			rows := [][]string{{"account", "store", "password", "tags"}}
			for _, acc := range env.Config.Accounts() {
				rows = append(rows, []string{acc.Name, acc.Store, acc.Secret.String(), strings.Join(acc.Tags, " ")})
				if err := a.json("account", map[string]any{"account": acc.Name, "store": acc.Store, "password_from": acc.Secret.String(), "tags": acc.Tags}); err != nil {
					return err
				}
			}
			if len(rows) == 1 {
				a.note("no account is configured; roost account add NAME STORE adds one")
			} else {
				a.table(rows)
			}
			return a.json("summary", map[string]any{"accounts": len(rows) - 1})
		},
	}
}

func (a *app) accountTestCommand() *cobra.Command {
	var accounts accountFlags
	cmd := &cobra.Command{
		Use:   "test [ACCOUNT | STORE]...",
		Short: "Log in to accounts and list their mailboxes",
		Long: `Test opens accounts, all if none is named, as backup would, logs in, and lists
their mailboxes. It changes nothing. The exit code tells what is wrong: 20 no
connection, 21 TLS, 22 authentication, 23 a human is wanted.`,
		Example: `  roost account test alice
  roost account test --from imaps://alice@mail.example.com`,
		RunE: func(cmd *cobra.Command, args []string) error {
			choice, done, err := accounts.choice(a, args)
			if err != nil {
				return err
			}
			defer done()
			choice.All = choice.All || len(choice.Names) == 0 && choice.From == "" && choice.List == nil
			return a.accountTest(cmd.Context(), choice)
		},
	}
	accounts.register(cmd)
	return cmd
}

func (a *app) accountTest(ctx context.Context, choice job.Choice) error {
	env, err := a.env()
	if err != nil {
		return err
	}
	accounts, err := env.Accounts(choice)
	if err != nil {
		return err
	}
	var errs []error
	for i := range accounts {
		if err := a.testOne(ctx, env, &accounts[i]); err != nil {
			a.failed(accounts[i].Name, err)
			errs = append(errs, err)
		}
	}
	if err := a.json("summary", map[string]any{"accounts": len(accounts), "failed": len(errs)}); err != nil {
		return err
	}
	if err := worst(errs); err != nil {
		return said{err}
	}
	return nil
}

func (a *app) testOne(ctx context.Context, env *job.Env, account *job.Account) error {
	s, err := env.OpenStore(ctx, account)
	if err != nil {
		return fmt.Errorf("test %s: %w", account.Name, err)
	}
	defer s.Close()
	boxes, err := s.Mailboxes(ctx)
	if err != nil {
		return fmt.Errorf("test %s: %w", account.Name, err)
	}
	messages, known := int64(0), true
	var denied []string
	for _, box := range boxes {
		messages += max(box.Count, 0)
		known = known && (box.Count >= 0 || box.NoSelect)
		if box.Err != nil {
			denied = append(denied, string(box.Name))
		}
	}
	identity := ""
	if id, ok := s.(mail.Identifier); ok {
		identity = id.Identity()
	}
	line := map[string]any{"account": account.Name, "identity": identity, "mailboxes": len(boxes), "unreadable": denied}
	text := fmt.Sprintf("OK: %s, %s", printable(account.Name), count(int64(len(boxes)), "mailbox"))
	if known {
		line["messages"] = messages
		text += ", " + count(messages, "message")
	}
	a.printf("%s\n", text)
	for _, name := range denied {
		a.printf("  %s cannot be read\n", printable(name))
	}
	return a.json("account_tested", line)
}
