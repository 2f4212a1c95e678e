package rest

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"slices"
	"strings"

	"roost/blob"
	"roost/blob/wire"
)

// line is a line of a listing, small, because a listing is held in memory: the protocol has no pages, and no order.
type line struct {
	name [32]byte
	size int64
}

// List implements blob.Driver.
func (b *Bucket) List(ctx context.Context, kind blob.Kind, after string) iter.Seq2[blob.Entry, error] {
	return func(yield func(blob.Entry, error) bool) {
		lines, err := b.list(ctx, kind)
		if err != nil {
			yield(blob.Entry{}, err)
			return
		}
		for _, l := range lines {
			name := hex.EncodeToString(l.name[:])
			if name > after && !yield(blob.Entry{Name: name, Size: l.size}, nil) {
				return
			}
		}
	}
}

// list returns a whole listing in the order of names, each once.
func (b *Bucket) list(ctx context.Context, kind blob.Kind) ([]line, error) {
	resp, err := b.do(ctx, http.MethodGet, b.place.URL.JoinPath(kind.String()).String()+"/", nil)
	if r := (*refusal)(nil); errors.As(err, &r) && r.code == http.StatusNotFound {
		// QUIRK: rclone lists folders that are missing as empty ones, and says "not found" of troubles of its own.
		if strings.HasPrefix(r.server, "rclone/") {
			return nil, blob.Temporary(errors.New("rclone could not list the folder"))
		}
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if t := resp.Header.Get("Content-Type"); t != version2 {
		return nil, fmt.Errorf("the server lists as %q, want %q: it is no server of restic's protocol, or older than 2018", t, version2)
	}
	lines, err := readList(resp.Body)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(lines, func(a, b line) int { return bytes.Compare(a.name[:], b.name[:]) })
	return slices.CompactFunc(lines, func(a, b line) bool { return a.name == b.name }), nil
}

// maxLine bounds what one line of a listing may take, in octets; real ones have 90.
const maxLine = 64 << 10

// readList reads a listing. Names that cannot be ours are passed over.
func readList(r io.Reader) ([]line, error) {
	counted := &counter{r: r}
	d := json.NewDecoder(counted)
	open, err := d.Token()
	if err == nil && open == nil {
		return nil, nil // QUIRK: rest-server 0.9 lists an empty folder as null
	}
	if err == nil && open != json.Delim('[') {
		return nil, errors.New("read the listing: it is no list")
	}
	var lines []line
	for err == nil && d.More() {
		counted.n = 0
		var item struct {
			Name string `json:"name"`
			Size int64  `json:"size"`
		}
		if err = d.Decode(&item); err != nil {
			break
		}
		l := line{size: item.Size}
		h := blob.Handle{Kind: blob.Pack, Name: item.Name}
		if h.Valid() != nil || item.Size < 0 {
			continue
		}
		hex.Decode(l.name[:], []byte(item.Name)) // Valid says that it is hex, 64 digits
		lines = append(lines, l)
	}
	if err == nil {
		_, err = d.Token()
	}
	return lines, listFault(err)
}

// listFault tells a listing that is none from one that was cut.
func listFault(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	if errors.As(err, &syntax) || errors.As(err, &kind) || errors.Is(err, errLongLine) {
		return fmt.Errorf("read the listing: %w", err)
	}
	return wire.Fault(err)
}

var errLongLine = fmt.Errorf("a line of more than %d octets", maxLine)

// counter ends a listing in which a single line goes on for too long.
type counter struct {
	r io.Reader
	n int // octets that were read for this line, and some more
}

func (c *counter) Read(p []byte) (int, error) {
	if c.n > maxLine {
		return 0, errLongLine
	}
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}
