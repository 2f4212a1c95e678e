package main

import (
	"context"

	"github.com/spf13/cobra"

	"roost/job"
)

func (a *app) initCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a repository",
		Long: `Init makes the repository that --repo, ROOST_REPOSITORY or the configuration
names. With nothing configured it makes the default one, and generates its key
file. The repository is one of restic's, format version 2: restic, rustic and
rest-server work on it too.

Locations are written as restic writes them:

  /srv/backup/mail
  rest:https://user@host:8000/path/
  sftp:user@host:path, sftp://user@host:port//absolute/path
  s3:https://host/bucket/prefix`,
		Example: `  roost init
  roost init -r /srv/backup/mail --password-file /etc/roost/mail.key
  roost init -r rest:https://backup.example.com/mail/`,
		Args: args(cobra.NoArgs),
		RunE: func(cmd *cobra.Command, _ []string) error {
			env, err := a.env()
			if err != nil {
				return err
			}
			if dryRun {
				return a.planInit(cmd.Context(), env)
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
			return a.json("initialized", initialized{Repository: r.Location, ID: r.ID().String(), KeyFile: r.KeyFile})
		},
	}
	cmd.Flags().BoolVarP(&dryRun, "dry-run", "n", false, "say what would be made, make nothing")
	return cmd
}

// initialized is a new repository with --json.
type initialized struct {
	Repository string `json:"repository"`
	ID         string `json:"id,omitempty"`
	KeyFile    string `json:"key_file,omitempty"`
	DryRun     bool   `json:"dry_run,omitempty"`
}

// planInit says what init would make.
func (a *app) planInit(ctx context.Context, env *job.Env) error {
	location, keyFile, err := env.PlanRepository(ctx)
	if err != nil {
		return err
	}
	a.printf("would make the repository %s\n", printable(location))
	if keyFile != "" {
		a.printf("its key would be %s\n", printable(keyFile))
	}
	a.printf("dry run, nothing was written\n")
	return a.json("initialized", initialized{Repository: location, KeyFile: keyFile, DryRun: true})
}
