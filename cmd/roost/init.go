package main

import (
	"github.com/spf13/cobra"
)

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Make a repository",
		Long: `Init makes the repository that --repo, ROOST_REPOSITORY or the configuration
names. With nothing configured it makes the default one, and generates its key
file. The repository is one of restic's, format version 2: restic, rustic and
rest-server work on it too.`,
		Example: `  roost init
  roost init -r /srv/backup/mail --password-file /root/mail.key`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			env, err := a.env()
			if err != nil {
				return err
			}
			r, err := env.MakeRepository(cmd.Context())
			if err != nil {
				return err
			}
			defer r.Close()
			a.printf("made the repository %s\n", printable(r.Location))
			if r.KeyFile != "" {
				a.printf("its key is %s\nkeep a copy of the key elsewhere: without it the repository cannot be read\n", printable(r.KeyFile))
			}
			return a.json("initialized", struct {
				Repository string `json:"repository"`
				ID         string `json:"id"`
				KeyFile    string `json:"key_file,omitempty"`
			}{r.Location, r.ID().String(), r.KeyFile})
		},
	}
}
