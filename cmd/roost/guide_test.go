package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"roost/config"
	"roost/job"
)

// The user guide shows a configuration that is read, and the exit codes in the
// order in which they win.
func TestGuide(t *testing.T) {
	guide, err := os.ReadFile("../../doc/guide.md")
	if err != nil {
		t.Fatal(err)
	}
	_, sample, _ := strings.Cut(string(guide), "```toml\n")
	sample, _, found := strings.Cut(sample, "```")
	if !found {
		t.Fatal("the guide shows no configuration")
	}
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(file, []byte(sample), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(config.Options{File: file, Getenv: func(string) string { return "" }})
	if err != nil {
		t.Fatal(err)
	}
	if all, err := (&job.Env{Config: cfg}).Accounts(job.Choice{All: true}); err != nil || len(all) != 2 {
		t.Errorf("the accounts of the guide's configuration: %v, %v", all, err)
	}
	var order []string
	for _, row := range exitTable {
		order = append(order, fmt.Sprint(row.code))
	}
	if want := "in this order: " + strings.Join(order, ", ") + "."; !strings.Contains(string(guide), want) {
		t.Errorf("the guide does not say %q", want)
	}
}
