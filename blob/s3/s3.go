// Package s3 reaches buckets in S3 and what speaks like it. Objects are named as restic names them there:
//
//	PREFIX/config
//	PREFIX/data/0a/0a1b...       packs, below the first two digits of their names
//	PREFIX/KIND/NAME             KIND is keys, locks, snapshots, index
//
// The server's own bucket is called the vessel here, as blob has the other word.
package s3

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"roost/blob"
	"roost/blob/wire"
)

// Place is where the bucket is, and who we are there.
type Place struct {
	URL            *url.URL // http or https, host and port
	Vessel, Prefix string   // Prefix has no slash at its ends; it may be ""
	Key, Secret    string   // "": as the machine has them: AWS's file of credentials, or its role in the cloud
	Session        string   // the token that goes with temporary keys
	Region         string   // "": asked from the server
}

// Bucket is a blob.Driver.
type Bucket struct {
	place  Place
	client minio.Core
	idle   func() // closes the connections that are not in use
}

// New returns the bucket at p, without looking whether there is one.
func New(p Place, t http.RoundTripper) (*Bucket, error) {
	client, err := minio.NewCore(p.URL.Host, &minio.Options{
		Creds: keys(p), Secure: p.URL.Scheme == "https", Transport: t, Region: p.Region,
		MaxRetries: 1, // blob.Remote tries again, and knows what a lost answer may mean
	})
	if err != nil {
		return nil, fmt.Errorf("open S3 at %s: %w", p.URL.Host, err)
	}
	client.SetAppInfo("roost", "1")
	return &Bucket{place: p, client: *client, idle: (&http.Client{Transport: t}).CloseIdleConnections}, nil
}

// keys says who we are.
func keys(p Place) *credentials.Credentials {
	if p.Key != "" || p.Secret != "" {
		return credentials.NewStaticV4(p.Key, p.Secret, p.Session)
	}
	const ask = 10 * time.Second // outside of a cloud nobody answers
	return credentials.NewChainCredentials([]credentials.Provider{
		&credentials.FileAWSCredentials{},
		&credentials.IAM{Client: &http.Client{Timeout: ask}},
	})
}

// key is the name of h's object.
func (b *Bucket) key(h blob.Handle) string {
	switch h.Kind {
	case blob.Config:
		return path.Join(b.place.Prefix, "config")
	case blob.Pack:
		return path.Join(b.place.Prefix, h.Kind.String(), h.Name[:2], h.Name)
	}
	return path.Join(b.place.Prefix, h.Kind.String(), h.Name)
}

// Create implements blob.Driver.
func (b *Bucket) Create(ctx context.Context) error {
	there, err := b.client.BucketExists(ctx, b.place.Vessel)
	if err = fault(err); errors.Is(err, blob.ErrAccess) {
		return nil // keys that are good for objects only may not look
	}
	if there || err != nil {
		return err
	}
	err = b.client.MakeBucket(ctx, b.place.Vessel, minio.MakeBucketOptions{Region: b.place.Region})
	if code(err) == "BucketAlreadyOwnedByYou" {
		return nil // somebody else was faster
	}
	return fault(err)
}

// Save implements blob.Driver. A PUT replaces what is there, so that is looked for first. Many servers know a PUT that
// replaces nothing; where two writers would harm each other, at the config, it is asked for, and not relied on.
func (b *Bucket) Save(ctx context.Context, h blob.Handle, body []byte) error {
	if _, err := b.Stat(ctx, h); !errors.Is(err, blob.ErrNotExist) {
		if err == nil {
			err = blob.ErrExist
		}
		return err
	}
	if h.Kind != blob.Config {
		return vesselFault(b.put(ctx, h, body, minio.PutObjectOptions{}))
	}
	var only minio.PutObjectOptions
	only.SetMatchETagExcept("*")
	err := b.put(ctx, h, body, only)
	if code(err) == "NotImplemented" {
		err = b.put(ctx, h, body, minio.PutObjectOptions{})
	}
	if err != nil {
		return vesselFault(err)
	}
	return blob.ConfirmConfig(ctx, b, body)
}

// put sends an object by one request, whose signature holds the SHA-256 of the body: the server refuses what was damaged on the
// way. Vessels whose objects are locked want MD5 beside.
func (b *Bucket) put(ctx context.Context, h blob.Handle, body []byte, o minio.PutObjectOptions) error {
	sum, weak := sha256.Sum256(body), md5.Sum(body)
	o.ContentType, o.DisableContentSha256 = "application/octet-stream", true // not by pieces: the sum of all is signed
	_, err := b.client.PutObject(ctx, b.place.Vessel, b.key(h), bytes.NewReader(body), int64(len(body)),
		base64.StdEncoding.EncodeToString(weak[:]), hex.EncodeToString(sum[:]), o)
	return err
}

// Load implements blob.Driver.
func (b *Bucket) Load(ctx context.Context, h blob.Handle, limit int64) ([]byte, error) {
	body, info, _, err := b.client.GetObject(ctx, b.place.Vessel, b.key(h), minio.GetObjectOptions{})
	if err != nil {
		return nil, fault(err)
	}
	defer body.Close()
	if info.Size > limit {
		return nil, fmt.Errorf("%d octets, the limit is %d", info.Size, limit)
	}
	return wire.ReadAll(body, info.Size, limit)
}

// ReadAt implements blob.Driver.
func (b *Bucket) ReadAt(ctx context.Context, h blob.Handle, p []byte, off int64) error {
	var o minio.GetObjectOptions
	if err := o.SetRange(off, off+int64(len(p))-1); err != nil {
		return err
	}
	body, info, header, err := b.client.GetObject(ctx, b.place.Vessel, b.key(h), o)
	if status(err) == http.StatusRequestedRangeNotSatisfiable {
		return io.ErrUnexpectedEOF
	}
	if err != nil {
		return fault(err)
	}
	defer body.Close()
	size := info.Size
	if header.Get("Content-Range") == "" { // the server knows no ranges and sends all
		if size >= 0 && size <= off {
			return io.ErrUnexpectedEOF
		}
		if _, err := io.CopyN(io.Discard, body, off); err != nil {
			return wire.Fault(err)
		}
		size = max(-1, size-off)
	}
	return wire.ReadRange(body, p, size)
}

// Stat implements blob.Driver.
func (b *Bucket) Stat(ctx context.Context, h blob.Handle) (int64, error) {
	info, err := b.client.StatObject(ctx, b.place.Vessel, b.key(h), minio.StatObjectOptions{})
	return info.Size, fault(err)
}

// List implements blob.Driver. The server lists by pages, in the order of names.
func (b *Bucket) List(ctx context.Context, kind blob.Kind, after string) iter.Seq2[blob.Entry, error] {
	dir, owner := path.Join(b.place.Prefix, kind.String())+"/", false
	o := minio.ListObjectsOptions{Prefix: dir, Recursive: true, FetchOwner: &owner}
	if after != "" {
		o.StartAfter = b.key(blob.Handle{Kind: kind, Name: after})
	}
	return func(yield func(blob.Entry, error) bool) {
		for info := range b.client.ListObjectsIter(ctx, b.place.Vessel, o) {
			if info.Err != nil {
				yield(blob.Entry{}, vesselFault(info.Err))
				return
			}
			h := blob.Handle{Kind: kind, Name: path.Base(info.Key)}
			if h.Valid() != nil || b.key(h) != info.Key || h.Name <= after {
				continue // not ours; or a server that does not know where to start
			}
			if !yield(blob.Entry{Name: h.Name, Size: info.Size}, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil { // the listing ends without a word then
			yield(blob.Entry{}, err)
		}
	}
}

// Remove implements blob.Driver. A DELETE of what is not there succeeds, so it is looked for first.
func (b *Bucket) Remove(ctx context.Context, h blob.Handle) error {
	if _, err := b.Stat(ctx, h); err != nil {
		return err
	}
	err := b.client.RemoveObject(ctx, b.place.Vessel, b.key(h), minio.RemoveObjectOptions{})
	if code(err) == "AccessDenied" { // who may look and may not remove
		return fmt.Errorf("%w (%s)", blob.ErrAppendOnly, said(err))
	}
	return fault(err)
}

// Close implements blob.Driver.
func (b *Bucket) Close() error {
	b.idle()
	return nil
}

// said is what the server had to say, in a line.
func said(err error) string {
	const most = 200
	r := minio.ToErrorResponse(err)
	line, _, _ := strings.Cut(strings.TrimSpace(r.Message), "\n")
	if len(line) > most {
		line = strings.ToValidUTF8(line[:most], "") + "..."
	}
	return r.Code + ": " + line
}
