package repo

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Tree is a directory.
type Tree struct {
	Nodes []Node // sorted by the bytes of their names, each name once
}

// A NodeType is restic's word for what a node is.
type NodeType string

// The node types that we write; others are read as they are.
const (
	FileNode NodeType = "file"
	DirNode  NodeType = "dir"
)

// A Node is one entry of a directory. Zero fields are left out where restic leaves them out.
type Node struct {
	Name               string // any bytes but "/" and NUL; not "", "." or ".."
	Type               NodeType
	Mode               os.FileMode // as Go counts the bits, restic too
	ModTime            time.Time
	AccessTime         time.Time
	ChangeTime         time.Time
	UID, GID           uint32
	User, Group        string
	Inode              uint64
	DeviceID           uint64
	Size               uint64 // octets; for a file exactly those of Content, or restores have another length
	Links              uint64
	LinkTarget         string
	LinkTargetRaw      []byte
	ExtendedAttributes []ExtendedAttribute
	GenericAttributes  map[string]json.RawMessage
	Device             uint64
	Content            []ID // files: the data blobs in order; nil is written as [] for a file, as null for all else
	Subtree            *ID  // directories: the tree blob
	Error              string
}

// An ExtendedAttribute is an xattr of the file system.
type ExtendedAttribute struct {
	Name  string `json:"name"`
	Value []byte `json:"value"`
}

// Find returns the node of that name, or nil.
func (t *Tree) Find(name string) *Node {
	for i := range t.Nodes {
		if t.Nodes[i].Name == name {
			return &t.Nodes[i]
		}
	}
	return nil
}

// Sort puts the nodes in the order that the format wants.
func (t *Tree) Sort() {
	slices.SortFunc(t.Nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) })
}

// Validate returns nil if restic can restore the tree and rewrite it without loss.
func (t *Tree) Validate() error {
	for i := range t.Nodes {
		n := &t.Nodes[i]
		if err := validNodeName(n.Name); err != nil {
			return err
		}
		if i > 0 && t.Nodes[i-1].Name >= n.Name {
			return fmt.Errorf("node %q stands behind %q: not sorted, or twice", n.Name, t.Nodes[i-1].Name)
		}
		switch {
		case n.Type == "":
			return fmt.Errorf("node %q has no type", n.Name)
		case n.Type == DirNode && (n.Subtree == nil || n.Subtree.IsNull()):
			return fmt.Errorf("directory %q has no subtree", n.Name)
		case n.Type != DirNode && n.Subtree != nil:
			return fmt.Errorf("node %q of type %s has a subtree", n.Name, n.Type)
		case n.Type != FileNode && n.Content != nil:
			return fmt.Errorf("node %q of type %s has content", n.Name, n.Type)
		}
	}
	return nil
}

func validNodeName(name string) error {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return fmt.Errorf("bad node name %q", name)
	}
	return nil
}

// wireNode is a node as encoding/json reads it. Its fields and their order are the format.
type wireNode struct {
	Name               string                     `json:"name"`
	Type               NodeType                   `json:"type"`
	Mode               os.FileMode                `json:"mode,omitempty"`
	ModTime            time.Time                  `json:"mtime"`
	AccessTime         time.Time                  `json:"atime"`
	ChangeTime         time.Time                  `json:"ctime"`
	UID                uint32                     `json:"uid"`
	GID                uint32                     `json:"gid"`
	User               string                     `json:"user,omitempty"`
	Group              string                     `json:"group,omitempty"`
	Inode              uint64                     `json:"inode,omitempty"`
	DeviceID           uint64                     `json:"device_id,omitempty"`
	Size               uint64                     `json:"size,omitempty"`
	Links              uint64                     `json:"links,omitempty"`
	LinkTarget         string                     `json:"linktarget,omitempty"`
	LinkTargetRaw      []byte                     `json:"linktarget_raw,omitempty"`
	ExtendedAttributes []ExtendedAttribute        `json:"extended_attributes,omitempty"`
	GenericAttributes  map[string]json.RawMessage `json:"generic_attributes,omitempty"`
	Device             uint64                     `json:"device,omitempty"`
	Content            []ID                       `json:"content"`
	Subtree            *ID                        `json:"subtree,omitempty"`
	Error              string                     `json:"error,omitempty"`
}

// DecodeTree reads a tree blob, by whomever written: unknown fields, missing fields and unsorted nodes are accepted.
// Names that would leave their directory are not, nor are two nodes of one name.
func DecodeTree(p []byte) (*Tree, error) {
	nodes, err := decodeNodes(p)
	if err != nil {
		return nil, err
	}
	t := &Tree{Nodes: nodes}
	if !slices.IsSortedFunc(t.Nodes, func(a, b Node) int { return strings.Compare(a.Name, b.Name) }) {
		t.Sort()
	}
	for i := range t.Nodes {
		if err := validNodeName(t.Nodes[i].Name); err != nil {
			return nil, fmt.Errorf("decode tree: %w", err)
		}
		if i > 0 && t.Nodes[i-1].Name == t.Nodes[i].Name {
			return nil, fmt.Errorf("decode tree: two nodes named %q", t.Nodes[i].Name)
		}
	}
	return t, nil
}

// decodeNodes reads the nodes as they stand, whatever their names.
func decodeNodes(p []byte) ([]Node, error) {
	nodes, ok := plainNodes(p)
	if !ok {
		var err error
		if nodes, err = patientNodes(p); err != nil {
			return nil, fmt.Errorf("decode tree: %w", err)
		}
	}
	for i := range nodes {
		name, err := unquoteName(nodes[i].Name)
		if err != nil {
			return nil, fmt.Errorf("decode tree: %w", err)
		}
		nodes[i].Name = name
	}
	return nodes, nil
}

// patientNodes reads the nodes of a tree in any JSON.
func patientNodes(p []byte) ([]Node, error) {
	var wire struct {
		Nodes elements[wireNode] `json:"nodes"`
	}
	if err := json.Unmarshal(p, &wire); err != nil {
		return nil, err
	}
	nodes := make([]Node, len(wire.Nodes))
	for i := range wire.Nodes {
		nodes[i] = Node(wire.Nodes[i])
	}
	return nodes, nil
}

// quoteName returns the name as the format has it inside its JSON string: quoted as Go source, without the quotes.
func quoteName(name string) string {
	q := strconv.Quote(name)
	return q[1 : len(q)-1]
}

// unquoteName undoes quoteName. A name that is not quoted like that is an error.
func unquoteName(s string) (string, error) {
	if strings.IndexByte(s, '\\') < 0 && strings.IndexByte(s, '"') < 0 && strings.IndexByte(s, '\n') < 0 {
		return s, nil
	}
	name, err := strconv.Unquote(`"` + s + `"`)
	if err != nil {
		return "", fmt.Errorf("node name %q: %w", s, err)
	}
	return name, nil
}
