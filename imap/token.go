package imap

// Kind is the kind of a Token.
type Kind uint8

// The kinds of tokens. Nothing that can stand on a line is an error: what is no other kind is an Atom.
const (
	EOL     Kind = iota // the end of a line, CRLF or LF
	Atom                // a run of octets without space, parenthesis and line end; BODY[...]<n> is one atom
	Quoted              // a quoted string, without its quotes and escapes
	Literal             // the head of a literal; its octets come from Reader.Literal
	Open                // (
	Close               // )
)

// Token is one token of a line.
type Token struct {
	Kind    Kind
	Bytes   []byte // of an Atom or Quoted; valid until the next call of any method of the Reader
	Size    int64  // of a Literal, in octets
	NonSync bool   // of a Literal: {n+} (RFC 7888), the sender does not wait to be asked
	Binary  bool   // of a Literal: ~{n} (RFC 3516)
}

// IsAtom reports whether the token is the given atom. ASCII case does not count; upper must be upper case.
func (t Token) IsAtom(upper string) bool {
	return t.Kind == Atom && equalFold(t.Bytes, upper)
}

// IsNil reports whether the token is the atom NIL.
func (t Token) IsNil() bool { return t.IsAtom("NIL") }

// atom reads the atom that begins at pos.
func (r *Reader) atom() (Token, error) {
	section := false
	for n := 0; ; n++ {
		if r.pos+n == r.end {
			if err := r.fill(n); err != nil {
				return Token{}, r.eof(err)
			}
		}
		switch r.buf[r.pos+n] {
		case '[':
			// Only a section may hold spaces and parentheses. QUIRK: keywords with a lone bracket exist.
			section = section || isSection(r.buf[r.pos:r.pos+n])
		case ']':
			if section {
				return r.sectionEnd(n + 1)
			}
		case ' ', '\t', '(', ')':
			if !section {
				return r.take(Atom, n, 0), nil
			}
		case '\r', '\n':
			return r.take(Atom, n, 0), nil
		}
	}
}

// sectionEnd takes BODY[...] of n octets and the <origin> that may follow. It ends there even if no space follows.
func (r *Reader) sectionEnd(n int) (Token, error) {
	b, err := r.at(n)
	if err != nil {
		return Token{}, r.eof(err)
	}
	if b != '<' {
		return r.take(Atom, n, 0), nil
	}
	for m := n + 1; ; m++ {
		b, err := r.at(m)
		if err != nil {
			return Token{}, r.eof(err)
		}
		switch {
		case b == '>':
			return r.take(Atom, m+1, 0), nil
		case b < '0' || b > '9':
			return r.take(Atom, n, 0), nil
		}
	}
}

func isSection(name []byte) bool {
	switch len(name) {
	case 4:
		return equalFold(name, "BODY")
	case 6:
		return equalFold(name, "BINARY")
	case 9:
		return equalFold(name, "BODY.PEEK")
	case 11:
		return equalFold(name, "BINARY.SIZE") || equalFold(name, "BINARY.PEEK")
	}
	return false
}

// quoted reads the quoted string that begins at pos. A line end within it ends it too.
func (r *Reader) quoted() (Token, error) {
	escaped := false
	for n := 1; ; n++ {
		b, err := r.at(n)
		if err != nil {
			return Token{}, r.eof(err)
		}
		switch b {
		case '\\':
			next, err := r.at(n + 1)
			if err != nil {
				return Token{}, r.eof(err)
			}
			if next != '\r' && next != '\n' {
				escaped = true
				n++
			}
		case '"':
			t := r.take(Quoted, n+1, 1)
			t.Bytes = t.Bytes[:len(t.Bytes)-1]
			if escaped {
				t.Bytes = unescape(t.Bytes)
			}
			return t, nil
		case '\r', '\n':
			t := r.take(Quoted, n, 1)
			if escaped {
				t.Bytes = unescape(t.Bytes)
			}
			return t, nil
		}
	}
}

// unescape removes the backslashes of a quoted string in place.
func unescape(b []byte) []byte {
	w := 0
	for i := 0; i < len(b); i++ {
		if b[i] == '\\' && i+1 < len(b) {
			i++
		}
		b[w] = b[i]
		w++
	}
	return b[:w]
}

// equalFold reports whether b is upper, ASCII case aside. upper must be in upper case.
func equalFold(b []byte, upper string) bool {
	if len(b) != len(upper) {
		return false
	}
	for i, c := range b {
		if 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		if c != upper[i] {
			return false
		}
	}
	return true
}
