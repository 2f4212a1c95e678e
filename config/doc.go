// Package config is the configuration: TOML files, the environment and the
// defaults, merged and checked, and where secrets come from. It opens no
// repository and no store, and it never holds a secret: a secret is read when
// it is needed and handed on.
//
// Precedence, highest first: flag, environment, files, default. The files are,
// later ones over earlier ones, key by key:
//
//	/etc/roost/config.toml
//	/etc/roost/conf.d/*.toml                 in the order of their names
//	$XDG_CONFIG_HOME/roost/config.toml       (~/.config)
//	$XDG_CONFIG_HOME/roost/conf.d/*.toml
//
// With --config or ROOST_CONFIG, that one file is read and no other.
package config
