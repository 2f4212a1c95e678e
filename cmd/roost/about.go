package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strconv"

	"github.com/spf13/cobra"

	"roost/config"
	"roost/snapshot"
)

// release is the version of this source; a build from a tagged module says its own.
const release = "0.1.0-dev"

// version is the version of the program.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return release
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long:  "Version prints the version of roost, of what it was made with, and of the\nformats that it writes.",
		Args:  args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			a.printf("roost %s (%s, %s/%s); restic repository format 2, snapshot layout %d, JSON schema %d\n",
				version(), runtime.Version(), runtime.GOOS, runtime.GOARCH, snapshot.Layout, schema)
			return a.json("version", map[string]any{"version": version(), "go_version": runtime.Version(), "go_os": runtime.GOOS,
				"go_arch": runtime.GOARCH, "repository_format": 2, "snapshot_layout": snapshot.Layout})
		},
	}
}

func (a *app) configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show the configuration",
		Long:  "Config shows the configuration as it is in force.",
		RunE:  onlyCommands,
	}
	var origin bool
	show := &cobra.Command{
		Use:   "show",
		Short: "Print every setting, and where it comes from",
		Long: `Show prints every setting as it is in force, after flags, environment and files;
with --origin also where its value comes from. It prints no secret.`,
		Example: "  roost config show --origin",
		Args:    args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			env, err := a.env()
			if err != nil {
				return err
			}
			values := env.Config.Values()
			location, keyFile, err := env.RepositoryPlace()
			if err != nil {
				return err
			}
			for _, v := range values {
				switch {
				case v.Key == "repository.location" && location != env.Config.Repository.Location:
					v.Text = strconv.Quote(location) // the default one, or without the password
				case v.Key == "repository.password_file" && keyFile != "" && v.Origin.Kind == config.Default:
					v.Text = strconv.Quote(keyFile)
				}
				if err := a.json("setting", map[string]any{"key": v.Key, "value": v.Text, "origin": string(v.Origin.Kind), "origin_name": v.Origin.Name}); err != nil {
					return err
				}
				line := fmt.Sprintf("%s = %s", v.Key, v.Text)
				if origin {
					line = fmt.Sprintf("%-48s # %s", line, v.Origin)
				}
				a.printf("%s\n", printable(line))
			}
			return a.json("summary", map[string]any{"settings": len(values), "files": env.Config.Files()})
		},
	}
	show.Flags().BoolVar(&origin, "origin", false, "say where each value comes from")
	cmd.AddCommand(show)
	return cmd
}
