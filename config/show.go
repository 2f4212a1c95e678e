package config

import (
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// Value is one key of the configuration as it is in force.
type Value struct {
	Key    string // dotted, as in TOML
	Text   string // its value, as in TOML
	Origin Origin
}

// Values lists what is in force: all keys outside accounts, and those that are
// set of each account.
func (c *Config) Values() []Value {
	var values []Value
	for _, s := range c.settings() {
		values = append(values, Value{s.key, s.text(), c.origin(s.key)})
	}
	for _, a := range c.Accounts() {
		for _, s := range a.settings("account."+quoteKey(a.Name)+".", "") {
			if _, set := c.origins[s.key]; set {
				values = append(values, Value{s.key, s.text(), c.origin(s.key)})
			}
		}
	}
	return values
}

func (c *Config) origin(key string) Origin {
	if o, ok := c.origins[key]; ok {
		return o
	}
	return Origin{Kind: Default}
}

// text is the value in TOML.
func (s setting) text() string {
	switch at := s.at.(type) {
	case *int:
		return strconv.Itoa(*at)
	case *bool:
		return strconv.FormatBool(*at)
	case *[]string:
		quoted := make([]string, len(*at))
		for i, one := range *at {
			quoted[i] = quote(one)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	default:
		return quote(reflect.ValueOf(at).Elem().String())
	}
}

// Encode writes an account as a table of a configuration file.
func (a *Account) Encode() string {
	var b strings.Builder
	b.WriteString("[account." + quoteKey(a.Name) + "]\n")
	for _, s := range a.settings("", "") {
		if !reflect.ValueOf(s.at).Elem().IsZero() {
			b.WriteString(s.key + " = " + s.text() + "\n")
		}
	}
	return b.String()
}

// bareKey is a key that needs no quotes (TOML 1.0, Keys).
var bareKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

func quoteKey(k string) string {
	if bareKey.MatchString(k) {
		return k
	}
	return quote(k)
}

func joinKey(parts []string) string {
	quoted := make([]string, len(parts))
	for i, p := range parts {
		quoted[i] = quoteKey(p)
	}
	return strings.Join(quoted, ".")
}

// quote writes s as a TOML string.
func quote(s string) string {
	text, err := toml.Marshal(struct {
		V string `toml:"v"`
	}{s})
	if err != nil {
		return strconv.Quote(s)
	}
	return strings.TrimSpace(strings.TrimPrefix(string(text), "v = "))
}
