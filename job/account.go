package job

import (
	"bufio"
	"cmp"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"roost/backup"
	"roost/config"
	"roost/query"
	"roost/store"
)

// Account is one account with everything decided that the configuration and
// the command line say of it.
type Account struct {
	Name        string
	Store       string // URL
	Secret      config.Secret
	Tags        []string
	Selection   query.Selection
	Connections int
	FullEvery   time.Duration    // list mailboxes in full that often; 0: never by itself
	MaxShrink   backup.MaxShrink // by how much it may shrink
}

// Choice says which accounts are meant. Each way adds to the others.
type Choice struct {
	Names []string  // of the configuration, with "*" and "?"; with From, the names as they are
	All   bool      // all of the configuration
	List  io.Reader // a name a line, and where it is not in the configuration its store's URL; "#" after a blank begins a comment
	From  string    // the URL of a store that is not in the configuration; "{user}" in it is each name

	Secret    config.Secret    // of From and of URLs in List
	Selection config.Selection // over the configuration's
	Tags      []string         // beside the configuration's
	MaxShrink string           // over the configuration's
}

// Accounts are the accounts that c means, by name; each once.
func (e *Env) Accounts(c Choice) ([]Account, error) {
	chosen := map[string]*config.Account{}
	if c.All {
		if len(e.Config.Account) == 0 {
			return nil, &config.Error{Reason: "no account is configured", Hint: "roost account add NAME STORE adds one"}
		}
		maps.Copy(chosen, e.Config.Account)
	}
	if err := e.choose(chosen, c); err != nil {
		return nil, err
	}
	if c.List != nil {
		if err := e.chooseList(chosen, c); err != nil {
			return nil, err
		}
	}
	if len(chosen) == 0 {
		all := e.Config.Accounts()
		if len(all) != 1 || len(c.Names) > 0 || c.List != nil {
			return nil, &config.Error{Reason: "no account is chosen", Hint: "name accounts with -u, take all with -A, or give a store with --from and a name with -u"}
		}
		chosen[all[0].Name] = all[0]
	}
	var accounts []Account
	for _, name := range slices.Sorted(maps.Keys(chosen)) {
		a, err := e.account(chosen[name], c)
		if err != nil {
			return nil, err
		}
		accounts = append(accounts, a)
	}
	return accounts, nil
}

// choose adds what Names and From mean.
func (e *Env) choose(chosen map[string]*config.Account, c Choice) error {
	if c.From != "" {
		names := c.Names
		if l, err := store.Parse(store.WithUser(c.From, "user")); err != nil {
			return &config.Error{Key: "--from", Reason: err.Error()}
		} else if len(names) == 0 && l.Driver == "imap" && l.User != "user" {
			names = []string{l.User}
		}
		if len(names) == 0 && c.List == nil {
			return &config.Error{Key: "--from", Reason: "the account has no name", Hint: "name it with -u; its snapshots go by that name"}
		}
		if len(names) > 1 && !strings.Contains(c.From, "{user}") && store.WithUser(c.From, "user") == c.From {
			return &config.Error{Key: "--from", Reason: "several accounts cannot have one store", Hint: `write "{user}" where the name stands in the URL`}
		}
		for _, name := range names {
			chosen[name] = &config.Account{Name: name, Store: store.WithUser(c.From, name), Secret: c.Secret}
		}
		return nil
	}
	for _, mask := range c.Names {
		found := false
		for _, a := range e.Config.Accounts() {
			if ok, err := path.Match(mask, a.Name); err != nil {
				return &config.Error{Key: mask, Reason: "it is no mask for accounts"}
			} else if ok || a.Name == mask {
				chosen[a.Name], found = a, true
			}
		}
		if !found {
			return &config.Error{Key: store.Redact(mask), Reason: "no account of that name is configured", Hint: e.knownAccounts()}
		}
	}
	return nil
}

func (e *Env) knownAccounts() string {
	const most = 10
	var names []string
	for _, a := range e.Config.Accounts() {
		names = append(names, a.Name)
	}
	switch {
	case len(names) == 0:
		return "roost account add NAME STORE adds one; or give its store with --from"
	case len(names) > most:
		return fmt.Sprintf("there are %d; roost account list shows them", len(names))
	}
	return "there are " + strings.Join(names, ", ")
}

// chooseList adds the accounts of a list.
func (e *Env) chooseList(chosen map[string]*config.Account, c Choice) error {
	lines := bufio.NewScanner(c.List)
	rows := map[string]int{} // by name
	for row := 1; lines.Scan(); row++ {
		fields := withoutComment(strings.Fields(lines.Text()))
		switch {
		case len(fields) == 0:
			continue
		case rows[fields[0]] != 0:
			return &config.Error{Row: row, Key: "list of accounts", Reason: fmt.Sprintf("lines %d and %d both name %q", rows[fields[0]], row, fields[0])}
		case len(fields) > 2:
			return &config.Error{Row: row, Key: "list of accounts", Reason: fmt.Sprintf("line %d has more than a name and a store", row)}
		case len(fields) == 2:
			chosen[fields[0]] = &config.Account{Name: fields[0], Store: fields[1], Secret: c.Secret}
		case c.From != "":
			chosen[fields[0]] = &config.Account{Name: fields[0], Store: store.WithUser(c.From, fields[0]), Secret: c.Secret}
		default:
			a, ok := e.Config.Account[fields[0]]
			if !ok {
				return &config.Error{Key: "list of accounts", Reason: fmt.Sprintf("line %d: no account %q is configured", row, fields[0]),
					Hint: "write the URL of its store behind the name"}
			}
			chosen[a.Name] = a
		}
		rows[fields[0]] = row
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("read the list of accounts: %w", err)
	}
	return nil
}

// withoutComment is a line's fields up to the one that begins with "#". A "#" within a field is a part of it.
func withoutComment(fields []string) []string {
	if i := slices.IndexFunc(fields, func(f string) bool { return strings.HasPrefix(f, "#") }); i >= 0 {
		return fields[:i]
	}
	return fields
}

// account decides everything about one.
func (e *Env) account(a *config.Account, c Choice) (Account, error) {
	fail := func(err error) (Account, error) {
		return Account{}, &config.Error{Key: "account " + a.Name, Reason: err.Error()}
	}
	if err := config.CheckAccountName(a.Name); err != nil {
		return fail(err)
	}
	l, err := store.Parse(a.Store)
	if err != nil {
		return fail(err)
	}
	out := Account{Name: a.Name, Store: a.Store, Secret: a.Secret, Connections: a.Connections}
	out.Tags = slices.Concat(a.Tags, c.Tags)
	if out.Connections == 0 {
		out.Connections = e.Config.Backup.Connections
	}
	if out.FullEvery, err = parseEvery(cmp.Or(a.FullEvery, e.Config.Backup.FullEvery)); err != nil {
		return fail(fmt.Errorf("full_every: %w", err))
	}
	if out.MaxShrink, err = backup.ParseMaxShrink(cmp.Or(c.MaxShrink, a.MaxShrink, e.Config.Backup.MaxShrink)); err != nil {
		return fail(fmt.Errorf("max_shrink: %w", err))
	}
	if out.Secret.IsZero() && l.Driver == "imap" && e.Ask.Prompt != nil {
		out.Secret = config.Secret{Prompt: true}
	}
	if out.Selection, err = e.selection(c.Selection.Over(a.Selection).Over(e.Config.Backup.Selection)); err != nil {
		return fail(err)
	}
	return out, nil
}

// parseEvery reads how often something is done: "30d", "4w"; "" is 0, never.
func parseEvery(text string) (time.Duration, error) {
	if text == "" {
		return 0, nil
	}
	const day = 24 * time.Hour
	unit := map[byte]time.Duration{'d': day, 'w': 7 * day}[text[len(text)-1]]
	n, err := strconv.ParseUint(text[:len(text)-1], 10, 12) // up to eleven years
	if unit == 0 || n == 0 || err != nil {
		return 0, fmt.Errorf("%q is no number of days or weeks, as in 30d or 4w", text)
	}
	return time.Duration(n) * unit, nil
}

// Select reads what the command line says of a selection, over nothing.
func (e *Env) Select(s config.Selection) (query.Selection, error) {
	out, err := e.selection(s)
	if err != nil {
		return out, &config.Error{Reason: err.Error()}
	}
	return out, nil
}

func (e *Env) selection(s config.Selection) (query.Selection, error) {
	out := query.Selection{
		Folders: s.Folders, Exclude: s.Exclude, NoChildren: s.NoChildren,
		Date: query.DateField(s.Date), SkipAttachments: s.SkipAttachments,
	}
	var err error
	if s.Since != "" {
		if out.Since, err = query.ParseTime(s.Since, e.now()); err != nil {
			return out, err
		}
	}
	if s.Before != "" {
		if out.Before, err = query.ParseTime(s.Before, e.now()); err != nil {
			return out, err
		}
	}
	if s.MaxSize != "" {
		if out.MaxSize, err = query.ParseSize(s.MaxSize); err != nil {
			return out, err
		}
	}
	return out.Clean()
}
