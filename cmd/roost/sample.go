package main

import (
	"bytes"
	"context"
	"embed"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net/textproto"
	"path"
	"strings"
	"time"

	"roost/mail"
	"roost/message"
)

// The sample account of roost demo: small messages in several languages. Their
// attachments are written "{{NAME}}" and made here, so that the same file goes
// out several times, as it does in real mail.

//go:embed sample
var sampleFiles embed.FS

// sampleBoxes are the directories of sampleFiles and the mailboxes they stand for.
var sampleBoxes = []struct {
	dir  string
	name mail.Name
}{
	{"inbox", "INBOX"},
	{"sent", "Sent"},
	{"drafts", "Drafts"},
	{"junk", "Junk"},
	{"archive", "Archive/2025"},
	{"bridge", "Projects/Brücke & Fluß"},
	{"travel", "旅行"},
}

// flagsField is a line in front of a sample that holds its flags. It is no part of the message.
const flagsField = "X-Sample-Flags: "

// sample is one message of the account.
type sample struct {
	raw  []byte
	meta mail.Message // flags and internal date
}

// sampleMail reads the samples of a directory, in their order.
func sampleMail(dir string) ([]sample, error) {
	entries, err := fs.ReadDir(sampleFiles, path.Join("sample", dir))
	if err != nil {
		return nil, fmt.Errorf("read samples: %w", err)
	}
	var all []sample
	for _, e := range entries {
		text, err := fs.ReadFile(sampleFiles, path.Join("sample", dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read samples: %w", err)
		}
		all = append(all, parseSample(text))
	}
	return all, nil
}

func parseSample(text []byte) sample {
	var s sample
	if line, rest, ok := bytes.Cut(text, []byte("\n")); ok && bytes.HasPrefix(line, []byte(flagsField)) {
		s.meta.Flags = mail.FlagsOf(strings.Fields(textproto.TrimString(string(line[len(flagsField):])))...)
		text = rest
	}
	for _, f := range []struct {
		name string
		rows int
	}{{"schedule.csv", 700}, {"minutes.csv", 1200}, {"accounts.csv", 4000}} {
		if place := []byte("{{" + f.name + "}}\n"); bytes.Contains(text, place) {
			text = bytes.Replace(text, place, base64Lines(sampleFile(f.name, f.rows)), 1)
		}
	}
	s.raw = message.AppendCRLF(nil, text)
	header, _ := message.Split(s.raw)
	s.meta.InternalDate, _ = header.Date()
	s.meta.Size = int64(len(s.raw))
	return s
}

// sampleFile is a table of some rows, always the same.
func sampleFile(name string, rows int) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "row,%s,check\n", strings.TrimSuffix(name, ".csv"))
	x := uint32(len(name))
	for i := range rows {
		x = x*1664525 + 1013904223 // Numerical Recipes' generator
		fmt.Fprintf(&b, "%d,%08x,%d\n", i+1, x, x%97)
	}
	return b.Bytes()
}

// base64Lines encodes as mail does, 76 characters a line.
func base64Lines(raw []byte) []byte {
	const width = 57 // octets that make 76 characters
	var b bytes.Buffer
	for len(raw) > 0 {
		n := min(width, len(raw))
		b.WriteString(base64.StdEncoding.EncodeToString(raw[:n]))
		b.WriteByte('\n')
		raw = raw[n:]
	}
	return b.Bytes()
}

// fillSample puts the sample account into a store.
func fillSample(ctx context.Context, s mail.Store) (messages int, err error) {
	for _, box := range sampleBoxes {
		if err := s.Create(ctx, box.name); err != nil && !errors.Is(err, mail.ErrExist) {
			return messages, err
		}
		n, err := appendSample(ctx, s, box.name, box.dir)
		messages += n
		if err != nil {
			return messages, err
		}
	}
	return messages, nil
}

// appendSample puts the samples of a directory into a mailbox.
func appendSample(ctx context.Context, s mail.Store, name mail.Name, dir string) (messages int, err error) {
	all, err := sampleMail(dir)
	if err != nil {
		return 0, err
	}
	for _, m := range all {
		if m.meta.InternalDate.IsZero() {
			m.meta.InternalDate = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		}
		_, err := s.Append(ctx, name, m.meta, bytes.NewReader(m.raw))
		if loss := (*mail.Loss)(nil); err != nil && !errors.As(err, &loss) {
			return messages, err
		}
		messages++
	}
	return messages, nil
}
