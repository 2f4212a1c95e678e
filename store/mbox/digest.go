package mbox

// digest tells a message without a UID from every other. Nothing shorter than all of its octets does: two can have one
// header, and when the first of them goes, what was said of it must not be said of the second. Of a message with a mark,
// which is its identity, the body is not in it.
type digest [16]byte

// digest takes a line of a body.
func (f *finder) digest(line []byte, blank bool) {
	if f.open.mark.uid != 0 || f.open.internal {
		return
	}
	f.sum.Write(f.held)
	f.held = f.held[:0]
	if blank {
		f.held = append(f.held, line...)
		return
	}
	f.sum.Write(line)
}
