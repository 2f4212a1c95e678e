package message

import (
	"bytes"
	"html"
	"strings"
)

// Wording is what can be searched of a message behind its header.
type Wording struct {
	Body       Words // all texts that people read in it, those of attached messages with their subjects, too
	Filenames  Words // names of its attachments and other parts
	Attachment bool  // see HasAttachment
}

// WordingOf reads the text of a message, decoded from whatever transfer encoding and charset each part
// is said to be in. Of HTML only what is shown counts. What cannot be decoded is taken as it stands.
func WordingOf(raw []byte) Wording {
	t := Wording{Attachment: HasAttachment(raw)}
	var body, names strings.Builder
	parts := Parts(raw)
	for i := range parts {
		p := &parts[i]
		if name := p.Filename(); name != "" {
			names.WriteString(name)
			names.WriteString("\n\n")
		}
		if i > 0 && parts[p.Parent].Type == "message/rfc822" {
			h := p.Header()
			body.WriteString(h.From() + "\n" + h.Subject() + "\n")
		}
		if p.Leaf && strings.HasPrefix(p.Type, "text/") {
			body.WriteString(p.text())
			body.WriteByte('\n')
		}
	}
	t.Body, t.Filenames = WordsOf(body.String()), WordsOf(names.String())
	return t
}

// text is the part in UTF-8, without the marks of HTML.
func (p *Part) text() string {
	value, _ := p.Header().Raw("Content-Type")
	value = value[:min(len(value), maxField)]
	charset := string(parameter(value, "charset"))
	content := toUTF8(charset, p.Decoded())
	if p.Type == "text/html" {
		return shownOf(content)
	}
	return content
}

// shownOf is what an HTML text shows, without its marks. It reads what is broken as browsers do, roughly.
func shownOf(markup string) string {
	var out strings.Builder
	for markup != "" {
		i := strings.IndexByte(markup, '<')
		if i < 0 {
			out.WriteString(markup)
			break
		}
		out.WriteString(markup[:i])
		markup = markup[i:]
		if strings.HasPrefix(markup, "<!--") {
			_, markup, _ = strings.Cut(markup[4:], "-->")
			continue
		}
		if len(markup) < 2 || !isTagStart(markup[1]) {
			out.WriteByte('<')
			markup = markup[1:]
			continue
		}
		name, end := tagAt(markup)
		markup = markup[end:]
		switch {
		case name == "script" || name == "style":
			markup = behindEnd(markup, name)
		case !inline[strings.TrimPrefix(name, "/")]:
			out.WriteByte('\n')
		}
	}
	return html.UnescapeString(out.String())
}

func isTagStart(c byte) bool {
	return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '/' || c == '!' || c == '?'
}

// tagAt returns the name of the tag at the start of s, in lower case, and where the tag ends.
func tagAt(s string) (name string, end int) {
	n := 1
	for n < len(s) && n < 32 && !strings.ContainsRune(" \t\r\n/>", rune(s[n])) || n == 1 && len(s) > 1 && s[1] == '/' {
		n++
	}
	name = strings.ToLower(s[1:n])
	quote := byte(0)
	for i := n; i < len(s); i++ {
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case (c == '"' || c == '\'') && i > 0 && s[i-1] == '=':
			quote = c
		case c == '>':
			return name, i + 1
		}
	}
	return name, len(s)
}

// behindEnd is s behind the end tag of an element of which nothing is shown.
func behindEnd(s, name string) string {
	for {
		i := strings.Index(s, "</")
		if i < 0 {
			return ""
		}
		s = s[i+2:]
		if len(s) >= len(name) && bytes.EqualFold([]byte(s[:len(name)]), []byte(name)) {
			_, rest, _ := strings.Cut(s, ">")
			return rest
		}
	}
}

// inline are the elements that part no words.
var inline = map[string]bool{"a": true, "abbr": true, "b": true, "big": true, "em": true, "font": true, "i": true, "ins": true, "mark": true,
	"s": true, "small": true, "span": true, "strong": true, "sub": true, "sup": true, "tt": true, "u": true, "wbr": true}
