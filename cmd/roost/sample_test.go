package main

import (
	"bytes"
	"testing"

	"roost/message"
	"roost/store/memory"
)

// The sample account is real mail: every message has a header with a date, and
// the attachments that go out several times are long enough to be stored once.
func TestSamples(t *testing.T) {
	s := memory.New(memory.Options{})
	n, err := fillSample(t.Context(), s)
	if err != nil || n < 28 {
		t.Fatalf("fillSample = %d, %v", n, err)
	}
	attachments, largest := 0, 0
	for _, box := range sampleBoxes {
		all, err := sampleMail(box.dir)
		if err != nil {
			t.Fatal(err)
		}
		for i, m := range all {
			h, body := message.Split(m.raw)
			if _, ok := h.Date(); !ok || h.From() == "" || h.Subject() == "" || h.MessageID() == "" || len(body) == 0 {
				t.Errorf("%s, message %d has no proper header:\n%s", box.dir, i, h)
			}
			if bytes.Contains(m.raw, []byte("{{")) || bytes.Contains(m.raw, []byte(flagsField)) {
				t.Errorf("%s, message %d holds what only the program should see", box.dir, i)
			}
			if message.HasAttachment(m.raw) {
				attachments++
				largest = max(largest, len(m.raw))
			}
		}
	}
	if attachments < 7 || largest < 64<<10 {
		t.Errorf("%d attachments, the largest message has %d octets", attachments, largest)
	}
}
