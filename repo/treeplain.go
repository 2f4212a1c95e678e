package repo

import "os"

// plainNodes reads a tree as restic and we write it; false if it is unlike that.
func plainNodes(p []byte) ([]Node, bool) {
	c := plain{rest: p}
	nodes := make([]Node, 0, min(len(p)/nodeJSON+1, plainNodesAhead))
	c.is(`{"nodes":[`)
	for first := true; c.more("]", first); first = false {
		if len(nodes) == maxElements[Node](len(p)) {
			return nil, false
		}
		nodes = append(nodes, Node{})
		c.node(&nodes[len(nodes)-1])
	}
	c.is("}")
	return nodes, c.end()
}

const (
	nodeJSON        = 180  // octets that a node without content takes in a tree
	plainNodesAhead = 1024 // nodes that memory is taken for before they are seen
)

// node reads one node. The fields that mail never has are left to encoding/json.
func (c *plain) node(n *Node) {
	var seen fieldSet
	c.is("{")
	for first := true; c.more("}", first); first = false {
		number, name := 0, c.field()
		switch string(name) {
		case "name":
			n.Name = string(c.text())
		case "type":
			number, n.Type = 1, c.nodeType()
		case "mode":
			number, n.Mode = 2, os.FileMode(c.number(1<<32-1))
		case "mtime":
			number, n.ModTime = 3, c.moment()
		case "atime":
			number, n.AccessTime = 4, c.moment()
		case "ctime":
			number, n.ChangeTime = 5, c.moment()
		case "uid":
			number, n.UID = 6, uint32(c.number(1<<32-1))
		case "gid":
			number, n.GID = 7, uint32(c.number(1<<32-1))
		case "content":
			number = 8
			if !c.maybe("null") {
				n.Content = c.ids()
			}
		case "subtree":
			number, n.Subtree = 9, new(ID)
			c.id(n.Subtree)
		default:
			number = c.nodeNumber(n, name)
		}
		if seen.twice(number) {
			c.bad = true
		}
	}
}

// nodeNumber reads one of the fields that are often left out, and returns which.
func (c *plain) nodeNumber(n *Node, name []byte) (number int) {
	switch string(name) {
	case "user":
		n.User = string(c.text())
		return 10
	case "group":
		n.Group = string(c.text())
		return 11
	case "inode":
		n.Inode = c.number(1<<64 - 1)
		return 12
	case "device_id":
		n.DeviceID = c.number(1<<64 - 1)
		return 13
	case "size":
		n.Size = c.number(1<<64 - 1)
		return 14
	case "links":
		n.Links = c.number(1<<64 - 1)
		return 15
	case "linktarget":
		n.LinkTarget = string(c.text())
		return 16
	case "device":
		n.Device = c.number(1<<64 - 1)
		return 17
	case "error":
		n.Error = string(c.text())
		return 18
	}
	c.bad = true
	return 19
}

func (c *plain) nodeType() NodeType {
	switch t := c.text(); string(t) {
	case string(FileNode):
		return FileNode
	case string(DirNode):
		return DirNode
	default:
		return NodeType(t)
	}
}
