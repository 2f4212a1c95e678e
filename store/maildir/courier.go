package maildir

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"roost/mail"
	"roost/store/tree"
)

// Courier keeps keywords in the directory courierimapkeywords of a mailbox. In the
// file :list stand the keywords, a line each, an empty line, and then lines "BASE:N
// N ...", where BASE is a base name and N the number of a keyword, from 0 on. What
// changed since stands in files of its own, which hold all keywords of one message, a
// line each: ".N.BASE", of which the one with the greatest N counts, and BASE, which
// comes before those. They are only read here, and only where the list of UIDs is
// Courier's: Dovecot does not look at them.

const (
	courierKeywords = "courierimapkeywords"
	courierList     = ":list"
	maxCourierLine  = 64 << 10 // octets; a longer one is passed over
)

// courierKeywords are the keywords of messages, by base name.
func (s *Store) courierKeywords(dir string) (map[string]mail.Flags, error) {
	d, err := s.root.Open(path.Join(dir, courierKeywords))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer d.Close()
	entries, err := tree.Entries(d)
	if err != nil {
		return nil, err
	}
	all := make(map[string]mail.Flags)
	if err := s.readCourier(path.Join(dir, courierKeywords, courierList), func(r io.Reader) error { return parseCourierList(r, all) }); err != nil {
		return nil, err
	}
	newest := make(map[string]string) // the file that counts, by base name
	rank := make(map[string]uint64)
	for _, e := range entries {
		base, n, ok := courierUpdate(e.Name)
		if ok && !e.IsDir() && n > rank[base] {
			newest[base], rank[base] = e.Name, n
		}
	}
	for base, file := range newest {
		if err := s.readCourier(path.Join(dir, courierKeywords, file), func(r io.Reader) error {
			flags, err := parseCourierUpdate(r)
			all[base] = flags
			return err
		}); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// readCourier reads a file, if it is there: Courier gathers them into :list.
func (s *Store) readCourier(file string, read func(io.Reader) error) error {
	f, err := tree.Open(s.root, file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	return read(f)
}

// courierUpdate says of which message a file holds the keywords, and how new it is.
func courierUpdate(file string) (base string, n uint64, ok bool) {
	if file[0] == ':' {
		return "", 0, false
	}
	if file[0] != '.' {
		return file, 1<<64 - 1, true
	}
	number, base, found := strings.Cut(file[1:], ".")
	n, err := strconv.ParseUint(number, 10, 64)
	return base, n, found && err == nil && n > 0
}

func parseCourierList(r io.Reader, all map[string]mail.Flags) error {
	lines := bufio.NewReaderSize(r, maxCourierLine)
	var keywords []string
	for {
		line, err := readLine(lines)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if len(line) == 0 {
			break
		}
		keywords = append(keywords, string(line))
	}
	for {
		line, err := readLine(lines)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		base, numbers, found := strings.Cut(string(line), ":")
		if !found {
			continue
		}
		var flags []string
		for number := range strings.FieldsSeq(numbers) {
			if i, err := strconv.Atoi(number); err == nil && i >= 0 && i < len(keywords) {
				flags = append(flags, keywords[i])
			}
		}
		all[base] = mail.FlagsOf(flags...).Keywords()
	}
}

func parseCourierUpdate(r io.Reader) (mail.Flags, error) {
	lines := bufio.NewReaderSize(r, maxCourierLine)
	var flags []string
	for {
		line, err := readLine(lines)
		if err == io.EOF || err == nil && len(line) == 0 {
			return mail.FlagsOf(flags...).Keywords(), nil
		}
		if err != nil {
			return "", err
		}
		flags = append(flags, string(line))
	}
}
