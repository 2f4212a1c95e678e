package maildir

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"roost/mail"
	"roost/store/tree"
)

// dovecot-keywords says which keyword a letter in a file name stands for, a
// line each: "0 $Forwarded" is the letter a, "25 Work" the letter z. It is only
// ever replaced, under the lock of dovecot-uidlist; its mtime grows by at least
// a second each time, since Dovecot looks at whole seconds.

const (
	keywordsFile = "dovecot-keywords"
	maxKeywords  = 26
	maxKeyword   = 1000 // octets of a line; a longer one is passed over
)

// keywords are the names behind the letters a to z; "" for a letter not in use.
// nil is a table without any.
type keywords [maxKeywords]string

func (k *keywords) name(letter byte) string {
	if k == nil || letter < 'a' || letter > 'z' {
		return ""
	}
	return k[letter-'a']
}

// letter is the letter of a keyword; 0 if it has none.
func (k *keywords) letter(keyword string) byte {
	if k == nil || keyword == "" {
		return 0
	}
	for i, name := range k {
		if strings.EqualFold(name, keyword) {
			return 'a' + byte(i)
		}
	}
	return 0
}

// learn gives letters to keywords that have none, as far as there are letters
// and Dovecot could say the keyword. It reports whether the table changed.
func (k *keywords) learn(flags mail.Flags) (changed bool) {
	for f := range flags.Keywords().All() {
		if k.letter(f) != 0 || !isAtom(f) {
			continue
		}
		for i := range k {
			if k[i] == "" {
				k[i] = f
				changed = true
				break
			}
		}
	}
	return changed
}

// isAtom reports whether a keyword can be said in IMAP (RFC 9051, flag-keyword).
func isAtom(keyword string) bool {
	for i := range len(keyword) {
		if c := keyword[i]; c <= ' ' || c >= 0x7f || strings.IndexByte(`(){%*"\`, c) >= 0 {
			return false
		}
	}
	return keyword != "" && len(keyword) < maxKeyword/2
}

func parseKeywords(r io.Reader) (*keywords, error) {
	k := new(keywords)
	lines := bufio.NewReaderSize(io.LimitReader(r, 1<<20), maxKeyword)
	for {
		line, err := readLine(lines)
		if err == io.EOF {
			return k, nil
		}
		if err != nil {
			return nil, err
		}
		number, name, _ := strings.Cut(string(line), " ")
		if i, err := strconv.ParseUint(number, 10, 8); err == nil && i < maxKeywords && k.letter(name) == 0 {
			for keyword := range mail.FlagsOf(name).Keywords().All() { // in a spelling that Flags can hold
				k[i] = keyword
			}
		}
	}
}

// readLine is the next line without its end; a line longer than the buffer is
// passed over. What has no line end at the end of the file is no line: somebody
// is still writing it.
func readLine(r *bufio.Reader) ([]byte, error) {
	for tooLong := false; ; {
		line, err := r.ReadSlice('\n')
		switch {
		case err == bufio.ErrBufferFull:
			tooLong = true
		case err != nil:
			return nil, err
		case tooLong:
			tooLong = false
		default:
			return bytes.TrimSuffix(line, []byte("\n")), nil
		}
	}
}

// keywordsOf reads the keywords of the mailbox in dir.
func (s *Store) keywordsOf(dir string) (*keywords, error) {
	f, err := tree.Open(s.control, s.controlPath(dir, keywordsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return new(keywords), nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	k, err := parseKeywords(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", keywordsFile, err)
	}
	return k, nil
}

// writeKeywords replaces the keywords of the mailbox in dir. The caller holds
// the lock of its uidlist.
func (s *Store) writeKeywords(dir string, k *keywords) error {
	var b bytes.Buffer
	for i, name := range k {
		if name != "" {
			fmt.Fprintf(&b, "%d %s\n", i, name)
		}
	}
	file := s.controlPath(dir, keywordsFile)
	mtime := time.Now()
	if old, err := s.control.Stat(file); err == nil && old.ModTime().Unix() >= mtime.Unix() {
		mtime = old.ModTime().Truncate(time.Second).Add(time.Second)
	}
	return s.replace(s.control, file, file+".lock", b.Bytes(), mtime)
}
