package repo

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
	"unicode/utf8"
)

// AppendTree appends the tree's one canonical encoding: octet by octet what restic, that is Go's encoding/json,
// writes for it. restic's rewrite refuses any other. The tree must be valid.
func AppendTree(dst []byte, t *Tree) ([]byte, error) {
	if err := t.Validate(); err != nil {
		return nil, fmt.Errorf("encode tree: %w", err)
	}
	dst = append(dst, `{"nodes":[`...)
	for i := range t.Nodes {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = appendNode(dst, &t.Nodes[i]); err != nil {
			return nil, fmt.Errorf("encode tree: node %q: %w", t.Nodes[i].Name, err)
		}
	}
	return append(dst, "]}\n"...), nil
}

// appendNode appends one node without reflection: trees are a tenth of the work of a first backup otherwise.
func appendNode(dst []byte, n *Node) ([]byte, error) {
	dst = appendName(append(dst, `{"name":`...), n.Name)
	dst = appendString(append(dst, `,"type":`...), string(n.Type))
	dst = appendNumber(dst, `,"mode":`, uint64(n.Mode))
	dst = appendTime(append(dst, `,"mtime":"`...), n.ModTime)
	dst = appendTime(append(dst, `","atime":"`...), n.AccessTime)
	dst = appendTime(append(dst, `","ctime":"`...), n.ChangeTime)
	dst = strconv.AppendUint(append(dst, `","uid":`...), uint64(n.UID), 10)
	dst = strconv.AppendUint(append(dst, `,"gid":`...), uint64(n.GID), 10)
	if n.User != "" {
		dst = appendString(append(dst, `,"user":`...), n.User)
	}
	if n.Group != "" {
		dst = appendString(append(dst, `,"group":`...), n.Group)
	}
	dst = appendNumber(dst, `,"inode":`, n.Inode)
	dst = appendNumber(dst, `,"device_id":`, n.DeviceID)
	dst = appendNumber(dst, `,"size":`, n.Size)
	dst = appendNumber(dst, `,"links":`, n.Links)
	dst, err := appendRare(dst, n)
	if err != nil {
		return nil, err
	}
	dst = appendNumber(dst, `,"device":`, n.Device)
	dst = appendContent(dst, n)
	if n.Subtree != nil {
		dst = hex.AppendEncode(append(dst, `,"subtree":"`...), n.Subtree[:])
		dst = append(dst, '"')
	}
	if n.Error != "" {
		dst = appendString(append(dst, `,"error":`...), n.Error)
	}
	return append(dst, '}'), nil
}

// appendRare appends the fields that mail never has; they come from trees that others wrote.
func appendRare(dst []byte, n *Node) ([]byte, error) {
	if n.LinkTarget != "" {
		dst = appendString(append(dst, `,"linktarget":`...), n.LinkTarget)
	}
	if len(n.LinkTargetRaw) > 0 {
		dst = base64.StdEncoding.AppendEncode(append(dst, `,"linktarget_raw":"`...), n.LinkTargetRaw)
		dst = append(dst, '"')
	}
	if len(n.ExtendedAttributes) > 0 {
		p, err := json.Marshal(n.ExtendedAttributes)
		if err != nil {
			return nil, err
		}
		dst = append(append(dst, `,"extended_attributes":`...), p...)
	}
	if len(n.GenericAttributes) > 0 {
		p, err := json.Marshal(n.GenericAttributes)
		if err != nil {
			return nil, err
		}
		dst = append(append(dst, `,"generic_attributes":`...), p...)
	}
	return dst, nil
}

func appendContent(dst []byte, n *Node) []byte {
	dst = append(dst, `,"content":`...)
	if n.Content == nil && n.Type != FileNode {
		return append(dst, `null`...)
	}
	dst = append(dst, '[')
	for i := range n.Content {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = hex.AppendEncode(append(dst, '"'), n.Content[i][:])
		dst = append(dst, '"')
	}
	return append(dst, ']')
}

func appendNumber(dst []byte, key string, n uint64) []byte {
	if n == 0 {
		return dst
	}
	return strconv.AppendUint(append(dst, key...), n, 10)
}

// appendTime appends RFC 3339 with as many digits of a second as needed. Years outside 0..9999, which the form cannot
// hold, are brought to its ends, as restic does.
func appendTime(dst []byte, t time.Time) []byte {
	switch y := t.Year(); {
	case y < 0:
		t = t.AddDate(-y, 0, 0)
	case y > 9999:
		t = t.AddDate(-(y - 9999), 0, 0)
	}
	if _, offset := t.Zone(); offset >= 24*60*60 || offset <= -24*60*60 || offset%60 != 0 {
		t = t.UTC() // RFC 3339 has no such zone
	}
	return t.AppendFormat(dst, time.RFC3339Nano)
}

// appendName appends a quoted node name as a JSON string.
func appendName(dst []byte, name string) []byte {
	for i := range len(name) {
		if c := name[i]; c < ' ' || c >= 0x7f || c == '"' || c == '\\' {
			return appendString(dst, quoteName(name))
		}
	}
	return appendString(dst, name)
}

// appendString appends s as encoding/json writes a string.
func appendString(dst []byte, s string) []byte {
	const hexDigits = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			r, n := utf8.DecodeRuneInString(s[i:])
			switch {
			case r == utf8.RuneError && n == 1:
				dst = append(dst, `\ufffd`...)
			case r == '\u2028' || r == '\u2029':
				dst = append(dst, `\u202`...)
				dst = append(dst, hexDigits[r&0xf])
			default:
				dst = append(dst, s[i:i+n]...)
			}
			i += n
			continue
		}
		i++
		switch {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
		case c == '\b':
			dst = append(dst, '\\', 'b')
		case c == '\f':
			dst = append(dst, '\\', 'f')
		case c == '\n':
			dst = append(dst, '\\', 'n')
		case c == '\r':
			dst = append(dst, '\\', 'r')
		case c == '\t':
			dst = append(dst, '\\', 't')
		case c < ' ' || c == '<' || c == '>' || c == '&':
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&0xf])
		default:
			dst = append(dst, c)
		}
	}
	return append(dst, '"')
}
