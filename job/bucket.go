package job

import (
	"context"
	"os"

	"roost/blob/location"
	"roost/config"
)

// bucket opens the place of the repository, without looking whether there is one. Who we are there is said by the
// location, else by the configuration, else by restic's variables of the environment.
func (e *Env) bucket(ctx context.Context, p place) (location.Bucket, error) {
	c := e.Config.Repository
	o := location.Options{
		Connections: c.Connections, Up: c.LimitUpload, Down: c.LimitDownload,
		CA: c.CACert, Insecure: c.InsecureTLS, Certificate: c.ClientCert, SSH: c.SFTPCommand,
		Report: e.outage(p),
	}
	getenv := e.Ask.Getenv
	if getenv == nil {
		getenv = os.Getenv
	}
	switch p.Kind {
	case location.REST:
		o.User, o.Password = getenv("RESTIC_REST_USERNAME"), getenv("RESTIC_REST_PASSWORD")
	case location.S3:
		o.User, o.Password, o.Session = getenv("AWS_ACCESS_KEY_ID"), getenv("AWS_SECRET_ACCESS_KEY"), getenv("AWS_SESSION_TOKEN")
		o.Region = getenv("AWS_DEFAULT_REGION")
	}
	if p.Kind == location.REST || p.Kind == location.S3 {
		if err := e.identify(ctx, p, c.Server, &o); err != nil {
			return nil, err
		}
	}
	return location.Open(p.Location, o)
}

// identify lays what the configuration says of user and password over o.
func (e *Env) identify(ctx context.Context, p place, s config.Server, o *location.Options) error {
	if s.User != "" {
		o.User, o.Session = s.User, ""
	}
	if s.Secret.IsZero() || p.Password != "" {
		return nil
	}
	password, err := s.Secret.Read(ctx, "the server of "+p.String(), e.Ask)
	o.Password = password
	return err
}

// outage tells the user when the place of the repository stops to answer, and when it answers again.
func (e *Env) outage(p place) func(error) {
	if e.Ask.Note == nil {
		return nil
	}
	return func(err error) {
		if err != nil {
			e.Ask.Note("the repository " + p.String() + " does not answer, trying again: " + err.Error())
		} else {
			e.Ask.Note("the repository " + p.String() + " answers again")
		}
	}
}
