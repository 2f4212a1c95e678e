// Package plan decides what must be done to make a store agree with a source:
// where each mailbox goes, which messages are there already, and which steps
// bring the rest. It is pure: it reads no mail and no clock, and changes
// nothing but what it returns. What it would have to read to be sure, it asks
// for (Ask), and its caller comes back with the answer.
//
// Messages are paired as a multiset, by identity: an equal GUID in one store,
// or an equal Print of all the bytes. A header is only a hint as to which
// messages are worth reading whole. So bytes that stand twice at the source
// stand twice at the destination, and nothing is taken for equal because it
// looks alike. One exception: where the destination is known to change such a
// message when it stores it, exactly the changed bytes are its copy too, if no
// message equals them.
package plan
