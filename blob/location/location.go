// Package location reads where a repository is, in restic's way of writing, and opens the bucket there: one switch.
//
//	/srv/backup/mail  local:/srv/backup/mail
//	rest:https://user:password@host:8000/path/
//	sftp:user@host:path  sftp://user@host:port//absolute/path
//	s3:https://host:port/bucket/prefix  s3:host/bucket/prefix
//
// A location may hold a password: it is shown to nobody but by String.
package location

import (
	"context"

	"roost/blob"
	"roost/blob/rest"
	"roost/blob/s3"
	"roost/blob/sftp"
	"roost/blob/wire"
)

// Bucket is a bucket that can be made.
type Bucket interface {
	blob.Bucket
	Create(ctx context.Context) error // makes the place; what exists is kept
}

// Options adjusts what Open returns; the zero value is right for most. Those of networks mean nothing to a directory.
type Options struct {
	User, Password string // REST: HTTP Basic, unless the location has them; S3: the two keys, "" for those that the machine has
	Session        string // S3: the session token that goes with temporary keys
	Region         string // S3; "": asked from the server

	Connections int      // calls at a time; default 5
	Up, Down    int      // KiB a second; 0: as fast as it goes
	CA          string   // a file of authorities that sign the server's certificate; "": the system's
	Insecure    bool     // take any certificate
	Certificate string   // a file of our certificate and key; "": none
	SSH         []string // the command that speaks SFTP on its standard input and output; nil: ssh

	Report func(err error) // see blob.RemoteOptions
}

// Open returns the bucket at l. It does not look whether there is one.
func Open(l Location, o Options) (Bucket, error) {
	if l.Kind == Local {
		return local{blob.NewLocal(l.Dir, blob.LocalOptions{})}, nil
	}
	d, err := driver(l, o)
	if err != nil {
		return nil, err
	}
	return blob.NewRemote(d, blob.RemoteOptions{Connections: o.Connections, Report: o.Report}), nil
}

func driver(l Location, o Options) (blob.Driver, error) {
	up, down := wire.NewLimit(o.Up), wire.NewLimit(o.Down)
	if l.Kind == SFTP {
		command := o.SSH
		if len(command) == 0 {
			command = sftp.Command(l.User, l.Host, l.Port)
		}
		return sftp.New(sftp.Place{Command: command, Dir: l.Dir}, sftp.Options{Up: up, Down: down}), nil
	}
	t, err := wire.NewTransport(wire.Options{Connections: o.Connections, Up: up, Down: down, CA: o.CA, Insecure: o.Insecure, Certificate: o.Certificate})
	if err != nil {
		return nil, err
	}
	if l.Kind == S3 {
		return s3.New(s3.Place{URL: l.URL, Vessel: l.Bucket, Prefix: l.Prefix, Key: o.User, Secret: o.Password, Session: o.Session, Region: o.Region}, t)
	}
	p := rest.Place{URL: l.URL, User: l.User, Password: l.Password}
	if p.User == "" && p.Password == "" {
		p.User, p.Password = o.User, o.Password
	}
	return rest.New(p, t), nil
}

// local is a directory as a Bucket.
type local struct{ *blob.Local }

// Create implements Bucket.
func (l local) Create(context.Context) error { return l.Local.Create() }
