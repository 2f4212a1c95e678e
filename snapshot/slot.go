package snapshot

import (
	"fmt"
	"strconv"

	"roost/mail"
)

// Slot is the number of a message in a mailbox of a snapshot: its UID, or, for
// a message that has none, a number that the mailbox gives only once.
type Slot uint64

// FirstLoose is the first slot of messages without UID in a mailbox whose other
// messages have UIDs: just above the greatest UID.
const FirstLoose Slot = 1 << 32

// lastSlot is the greatest slot; it still has ten digits.
const lastSlot Slot = 9_999_999_999

// How many slots a shard (a tree of messages), a range (a file of flags) and a
// bucket (a tree of shards or ranges) hold.
const (
	ShardSize  = 64
	RangeSize  = 256
	BucketSize = 4096
)

const (
	bucketPrefix = "msg-"
	messageExt   = ".eml"
	flagsExt     = ".flags"
	idsExt       = ".ids"
)

// Shard, Range and Bucket are the first slots of the group that s is in.
func (s Slot) Shard() Slot  { return s - s%ShardSize }
func (s Slot) Range() Slot  { return s - s%RangeSize }
func (s Slot) Bucket() Slot { return s - s%BucketSize }

// String is the slot in ten digits, as it stands in file names.
func (s Slot) String() string { return fmt.Sprintf("%010d", uint64(s)) }

// Key is the slot as the key of a message in a snapshot: plain decimal.
func (s Slot) Key() mail.Key { return mail.Key(strconv.FormatUint(uint64(s), 10)) }

// UID is the slot as UID; 0 if it is not one, in a mailbox with this UIDVALIDITY.
func (s Slot) UID(uidValidity uint32) uint32 {
	if uidValidity == 0 || s >= FirstLoose {
		return 0
	}
	return uint32(s)
}

// ParseSlot reads a key or the digits of a file name.
func ParseSlot(text string) (Slot, error) {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil || n == 0 || Slot(n) > lastSlot {
		return 0, fmt.Errorf("%.40q is no message of a snapshot", text)
	}
	return Slot(n), nil
}

// parseGroup reads the first slot of a shard, range or bucket, which may be 0,
// from its file name with prefix and extension taken off.
func parseGroup(digits string, size Slot) (Slot, error) {
	n, err := strconv.ParseUint(digits, 10, 64)
	if err != nil || len(digits) != 10 || Slot(n)%size != 0 {
		return 0, fmt.Errorf("%.40q is no group of %d messages", digits, size)
	}
	return Slot(n), nil
}
