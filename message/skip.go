package message

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Skipped is an attachment that SkipAttachments left out.
type Skipped struct {
	Name   string // its file name; "" if it has none
	Type   string // its media type, in lower case
	Size   int64  // octets, without transfer encoding
	SHA256 [sha256.Size]byte
}

// SkipAttachments appends raw to dst, with a few lines of text in place of each attachment of at
// least atLeast octets as transferred, and returns what was left out. Those lines hold its name,
// type, size and SHA-256. In the part's header, the fields on its content are kept under names
// that begin with "X-Skipped-"; all other octets of the message stay as they are. If nothing was
// left out, what was appended is raw; otherwise the message is altered, and must be marked so.
//
// What is encrypted, signatures, and messages that are attached stay; of those, the attachments
// are looked at. A signature over an attachment no longer holds.
func SkipAttachments(dst, raw []byte, atLeast int) ([]byte, []Skipped) {
	var skipped []Skipped
	done := 0 // octets of raw that are in dst, or left out
	for _, p := range Parts(raw) {
		if p.End-p.Body < max(atLeast, 1) || !p.IsAttachment() {
			continue
		}
		content := p.Decoded()
		s := Skipped{Name: p.Filename(), Type: p.Type, Size: int64(len(content)), SHA256: sha256.Sum256(content)}
		skipped = append(skipped, s)
		dst = append(dst, raw[done:p.Start]...)
		dst = s.appendPlaceholder(dst, &p)
		done = p.End
	}
	return append(dst, raw[done:]...), skipped
}

// skippedFields say how the content of a part is to be read. They no longer hold for the text in
// its place.
var skippedFields = [...]string{
	"Content-Type", "Content-Transfer-Encoding", "Content-Disposition", "Content-MD5", "Content-Length", "Lines",
}

// appendPlaceholder appends what stands in the place of the part.
func (s *Skipped) appendPlaceholder(dst []byte, p *Part) []byte {
	head := p.Header()
	lineEnd := "\n"
	if strings.HasSuffix(string(head[max(len(head)-2, 0):]), "\r\n") {
		lineEnd = "\r\n"
	}
	for rest := []byte(head); len(rest) > 0; {
		n := fieldLen(rest, '\n')
		if len(trimLineEnd(rest[:n])) == 0 {
			break
		}
		name, _, _ := splitField(rest[:n])
		for _, skip := range skippedFields {
			if foldIs(name, skip) {
				dst = append(dst, "X-Skipped-"...)
			}
		}
		dst = append(dst, rest[:n]...)
		rest = rest[n:]
	}
	charset, encoding := "us-ascii", "7bit"
	name := s.Name
	if len(name) > maxName {
		name = strings.ToValidUTF8(name[:maxName], "") + "..."
	}
	if len(name) != utf8.RuneCountInString(name) {
		charset, encoding = "utf-8", "8bit"
	}
	lines := []string{
		"Content-Type: text/plain; charset=" + charset,
		"Content-Transfer-Encoding: " + encoding,
		"",
		"[This attachment was not kept]",
		"Name: " + name,
		"Type: " + tidy(s.Type),
		"Size: " + strconv.FormatInt(s.Size, 10),
		"SHA-256: " + hex.EncodeToString(s.SHA256[:]),
	}
	dst = append(dst, strings.Join(lines, lineEnd)...)
	if p.Parent < 0 { // no delimiter follows, whose line end would end the text
		dst = append(dst, lineEnd...)
	}
	return dst
}

// maxName is how many octets of a file name are written into a placeholder.
const maxName = 500
