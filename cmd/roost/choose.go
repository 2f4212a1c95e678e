package main

import (
	"strings"

	"github.com/spf13/cobra"

	"roost/job"
)

// choiceFlags are the flags by which forget, hold, tag and copy choose snapshots; their arguments name single ones.
type choiceFlags struct {
	accounts, tags []string
}

func (f *choiceFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringArrayVar(&f.accounts, "account", nil, "the snapshots of this `account`; may be given several times")
	cmd.Flags().StringArrayVar(&f.tags, "tag", nil, "the snapshots that have these `tags`, between commas; given several times, any of them")
}

// choice joins the flags with the arguments.
func (f *choiceFlags) choice(specs []string) (job.SnapshotChoice, error) {
	if len(specs) > 0 && len(f.accounts)+len(f.tags) > 0 {
		return job.SnapshotChoice{}, usagef("SNAPSHOT excludes --account and --tag")
	}
	return job.SnapshotChoice{Specs: specs, Accounts: f.accounts, Tags: tagLists(f.tags)}, nil
}

func tagLists(texts []string) (lists [][]string) {
	for _, text := range texts {
		lists = append(lists, strings.Split(text, ","))
	}
	return lists
}
