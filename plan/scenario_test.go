package plan

import (
	stdcmp "cmp"
	"fmt"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"roost/mail"
)

// Each scenario says in its first line what must be so, then what both sides
// hold, and then exactly what is asked and done.
func TestMessageScenarios(t *testing.T) {
	for _, file := range []string{"pair.txt", "collisions.txt"} {
		for _, s := range scenarios(t, file) {
			t.Run(s.why, func(t *testing.T) {
				if diff := cmp.Diff(s.want, runMessages(t, s)); diff != "" {
					t.Errorf("steps (-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestPlaceScenarios(t *testing.T) {
	for _, s := range scenarios(t, "places.txt") {
		t.Run(s.why, func(t *testing.T) {
			if diff := cmp.Diff(s.want, runPlaces(t, s)); diff != "" {
				t.Errorf("places (-want +got):\n%s", diff)
			}
		})
	}
}

type scenario struct {
	why   string
	rules []string
	a, b  []string
	tail  []string // "refuse" lines
	want  []string
}

func scenarios(t *testing.T, file string) []scenario {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	var all []scenario
	for block := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
		lines := strings.Split(block, "\n")
		s := scenario{why: strings.TrimPrefix(lines[0], "# ")}
		into := &s.rules
		for _, line := range lines[1:] {
			switch {
			case line == "A" || line == "src":
				into = &s.a
			case line == "B" || line == "dst":
				into = &s.b
			case line == "want":
				into = &s.want
			case strings.HasPrefix(line, "refuse "):
				s.tail = append(s.tail, strings.TrimPrefix(line, "refuse "))
			default:
				*into = append(*into, line)
			}
		}
		all = append(all, s)
	}
	return all
}

type truth struct {
	head, body       string
	altHead, altBody string // what it becomes at the destination; "": the same
	dead             bool
}

func runMessages(t *testing.T, s scenario) []string {
	t.Helper()
	task := Task{From: "a", To: "b"}
	for word := range strings.FieldsSeq(strings.Join(s.rules, " ")) {
		switch word {
		case "same-store":
			task.Rules.SameStore = true
		case "copy":
			task.Rules.Collisions = Copy
		case "replace":
			task.Rules.Collisions = Replace
		case "no-expunge":
			task.Rules.NoExpunge = true
		case "strip-deleted":
			task.Rules.StripDeleted = true
		default:
			t.Fatalf("unknown rule %q", word)
		}
	}
	var truthA, truthB []truth
	task.A, truthA = parseSide(t, s.a)
	task.B, truthB = parseSide(t, s.b)
	var got []string
	for range 10 {
		d, ask := task.Decide()
		if ask.Empty() {
			return append(got, describe(&task, d)...)
		}
		part := "header"
		if ask.Part == mail.Whole {
			part = "whole"
		}
		got = append(got, fmt.Sprintf("ask %s A=%s B=%s", part, keysOf(task.A, ask.A), keysOf(task.B, ask.B)))
		answer(&task.A, truthA, ask.A, ask.Part)
		answer(&task.B, truthB, ask.B, ask.Part)
	}
	t.Fatal("it does not stop asking")
	return nil
}

func describe(task *Task, d Decision) []string {
	var got []string
	for _, p := range d.Altered {
		got = append(got, fmt.Sprintf("altered %s is %s", task.A.Messages[p.A].Key, task.B.Messages[p.B].Key))
	}
	for _, i := range d.Unreadable {
		got = append(got, "unreadable "+string(task.A.Messages[i].Key))
	}
	for _, step := range task.Steps(d) {
		line := step.String() + ":"
		for n, k := range step.Keys {
			line += " " + string(k)
			if step.After != nil {
				line += " after " + string(task.A.Messages[step.After[n]].Key)
			}
		}
		if step.Kind == Append && step.Remove != Replaced {
			line += " without " + string(step.Remove)
		}
		got = append(got, line)
	}
	return got
}

func parseSide(t *testing.T, lines []string) (Side, []truth) {
	t.Helper()
	var side Side
	var truths []truth
	for _, line := range lines {
		words := strings.Fields(line)
		m := mail.Message{Key: mail.Key(words[0]), Size: -1}
		var about truth
		for _, word := range words[1:] {
			name, value, _ := strings.Cut(word, "=")
			switch name {
			case "guid":
				m.GUID = value
			case "flags":
				m.Flags = mail.FlagsOf(strings.Split(value, ",")...)
			case "date":
				n, err := strconv.Atoi(value)
				if err != nil {
					t.Fatal(err)
				}
				m.InternalDate = time.Unix(int64(n), 0)
			case "size":
				n, err := strconv.ParseInt(value, 10, 64)
				if err != nil {
					t.Fatal(err)
				}
				m.Size = n
			case "head":
				about.head = value
			case "body":
				about.body = value
			case "alt-head":
				about.altHead = value
			case "alt-body":
				about.altBody = value
			case "dead":
				about.dead = true
			default:
				t.Fatalf("unknown word %q in %q", word, line)
			}
		}
		if about.head == "" {
			about.head = about.body
		}
		if about.altBody != "" && about.altHead == "" {
			about.altHead = about.head
		}
		side.Messages = append(side.Messages, m)
		truths = append(truths, about)
	}
	return side, truths
}

func answer(side *Side, truths []truth, list []int32, part mail.Part) {
	if side.Known == nil {
		side.Known = make([]Known, len(side.Messages))
	}
	for _, i := range list {
		k, about := &side.Known[i], truths[i]
		if about.dead {
			k.Dead = true
			continue
		}
		k.Hint = hintOf(about.head)
		if about.altHead != "" && (about.altHead != about.head || part == mail.Whole) {
			k.AlteredHint = hintOf(about.altHead)
		}
		if part != mail.Whole {
			continue
		}
		copy(k.Print[:], about.head+"|"+about.body)
		if about.altHead != "" {
			copy(k.AlteredPrint[:], about.altHead+"|"+stdcmp.Or(about.altBody, about.body))
		}
	}
}

func hintOf(head string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(head))
	return h.Sum64()
}

func keysOf(side Side, list []int32) string {
	keys := make([]string, len(list))
	for n, i := range list {
		keys[n] = string(side.Messages[i].Key)
	}
	return strings.Join(keys, ",")
}

func runPlaces(t *testing.T, s scenario) []string {
	t.Helper()
	var root mail.Name
	for _, rule := range s.rules {
		root = mail.Name(strings.TrimPrefix(rule, "root "))
	}
	dst := parseBoxes(s.b)
	places := Places(parseBoxes(s.a), dst, root)
	for _, refusal := range s.tail {
		how, name, _ := strings.Cut(refusal, " ")
		i := slices.IndexFunc(places, func(p Place) bool { return p.Name == mail.Name(name) })
		if i < 0 || !Other(places, i, dst, how == "exists") {
			t.Fatalf("no other name for %s", name)
		}
	}
	var got []string
	for _, p := range places {
		line := fmt.Sprintf("%s -> %s", p.Source, p.Name)
		if p.Exists {
			line += " exists"
		}
		if p.Role != "" {
			line += " role=" + string(p.Role)
		}
		if p.Subscribe {
			line += " subscribe"
		}
		if (p.Why == "") != (root.Join(p.Source) == p.Name) {
			t.Errorf("%s goes to %s, why: %q", p.Source, p.Name, p.Why)
		}
		got = append(got, line)
	}
	return got
}

func parseBoxes(lines []string) []mail.Mailbox {
	var boxes []mail.Mailbox
	for _, line := range lines {
		var box mail.Mailbox
		var name []string
		for word := range strings.SplitSeq(line, " ") {
			switch {
			case word == "subscribed":
				box.Subscribed = true
			case word == "noselect":
				box.NoSelect = true
			case strings.HasPrefix(word, "role="):
				box.Role = mail.Role(strings.TrimPrefix(word, "role="))
			default:
				name = append(name, word)
			}
		}
		box.Name = mail.Name(strings.Join(name, " "))
		boxes = append(boxes, box)
	}
	return boxes
}
