package plan

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"roost/mail"
)

// Place is where a mailbox of the source goes.
type Place struct {
	Source    mail.Name
	Name      mail.Name // at the destination
	Exists    bool      // it is there, and can hold messages
	Role      mail.Role // to give to it when it is made
	Subscribe bool      // it is to be subscribed
	Why       string    // why it is not called as at the source, for the user; "" if it is

	wish  mail.Name // the name before the destination refused any
	tries int       // names that Other has found
}

// Steps are the steps that make p ready for messages.
func (p *Place) Steps() []Step {
	var steps []Step
	if !p.Exists {
		steps = append(steps, Step{Kind: Create, Mailbox: p.Name, Role: p.Role})
	}
	if p.Subscribe {
		steps = append(steps, Step{Kind: Subscribe, Mailbox: p.Name})
	}
	return steps
}

// Places finds a place at the destination, which has the mailboxes dst, for
// each mailbox of the source that can hold messages. No two get the same. They
// stand in the order of src, so that parents come before their children.
//
// Under a root, "dump/alice", all names are put below it as they are, and roles
// are not given. Without one, mailboxes keep their names, except that one with
// a role goes where the destination has that role, and takes with it what is
// below. A name that differs only in case from one that is there is another
// name, as long as the destination does not refuse it; see Other.
func Places(src, dst []mail.Mailbox, root mail.Name) []Place {
	there := make(map[mail.Name]*mail.Mailbox, len(dst))
	for i := range dst {
		there[dst[i].Name] = &dst[i]
	}
	theirs := make(map[mail.Name]bool, len(src))
	for i := range src {
		theirs[src[i].Name] = true
	}
	claimed := make(map[mail.Name]bool, len(src))
	moved := make(map[mail.Name]mail.Name) // mailboxes of the source that go elsewhere, and where
	places := make([]Place, 0, len(src))
	for i := range src {
		box := &src[i]
		if box.NoSelect {
			continue
		}
		p := Place{Source: box.Name, Name: root.Join(box.Name)}
		if root == "" {
			p.Role = box.Role
			if other, ok := roleHome(box, dst); ok && !theirs[other] && !claimed[other] {
				p.Name, p.Why = other, fmt.Sprintf("it is the destination's mailbox for %s", box.Role)
			} else if other, ok := follow(box.Name, moved); ok && there[box.Name] == nil && !theirs[other] && !claimed[other] {
				p.Name, p.Why = other, "the mailbox above it goes there"
			}
			if p.Name != box.Name {
				moved[box.Name] = p.Name
			}
		}
		claimed[p.Name] = true
		p.wish = p.Name
		p.settle(there[p.Name])
		// A mail client shows INBOX always, but not what was INBOX elsewhere.
		p.Subscribe = p.Subscribe && (box.Subscribed || root != "" && box.Name == mail.Inbox)
		places = append(places, p)
	}
	return places
}

// settle notes whether the mailbox is there; box is nil if it is not.
func (p *Place) settle(box *mail.Mailbox) {
	p.Exists = box != nil && !box.NoSelect
	p.Subscribe = box == nil || !box.Subscribed
}

// roleHome is the destination's mailbox with the role of box, if it is called
// otherwise.
func roleHome(box *mail.Mailbox, dst []mail.Mailbox) (mail.Name, bool) {
	if box.Role == "" || box.Name == mail.Inbox {
		return "", false
	}
	var home mail.Name
	for i := range dst {
		if dst[i].Role != box.Role || dst[i].NoSelect {
			continue
		}
		if dst[i].Name == box.Name {
			return "", false
		}
		if home == "" {
			home = dst[i].Name
		}
	}
	return home, home != "" && home != mail.Inbox
}

// follow is where name goes if the nearest mailbox above it that is moved takes
// it along.
func follow(name mail.Name, moved map[mail.Name]mail.Name) (mail.Name, bool) {
	for up := name.Parent(); up != ""; up = up.Parent() {
		if to, ok := moved[up]; ok {
			return to + name[len(up):], true
		}
	}
	return "", false
}

// lastTry is how many other names are tried before a mailbox is given up.
const lastTry = 9

// Other finds another name for places[i], after the destination, which now has
// the mailboxes dst, has refused to make the one it had; existed says that it
// refused because it has one of that name, which under just that name is not
// listed: its names do not depend on case. What is below follows. It is false
// if no name is left to try.
//
// The names tried depend on nothing but what the destination refuses, so that
// the next run finds the mailbox again under the name that this one gave it.
func Other(places []Place, i int, dst []mail.Mailbox, existed bool) bool {
	p := &places[i]
	if existed && p.tries == 0 {
		p.tries = 1
		for n := range dst {
			if strings.EqualFold(string(dst[n].Name), string(p.Name)) && !claims(places, i, dst[n].Name) {
				rename(places, i, &dst[n], dst[n].Name, "the destination takes both names for the same")
				return true
			}
		}
	}
	for ; p.tries < lastTry; p.tries++ {
		name := plain(p.wish)
		if p.tries > 0 {
			name += mail.Name(fmt.Sprintf(" (%d)", p.tries+1))
		}
		if name == p.Name || name == p.wish || claims(places, i, name) {
			continue
		}
		p.tries++
		var box *mail.Mailbox
		for n := range dst {
			if strings.EqualFold(string(dst[n].Name), string(name)) {
				box, name = &dst[n], dst[n].Name
				break
			}
		}
		rename(places, i, box, name, fmt.Sprintf("the destination refuses the name %s", p.wish))
		return true
	}
	return false
}

// claims reports whether another place than i has the name, in any case.
func claims(places []Place, i int, name mail.Name) bool {
	for n := range places {
		if n != i && strings.EqualFold(string(places[n].Name), string(name)) {
			return true
		}
	}
	return false
}

// rename gives places[i] a name, and takes along what is below it and not there
// yet.
func rename(places []Place, i int, box *mail.Mailbox, name mail.Name, why string) {
	p := &places[i]
	old := p.Name
	subscribe := p.Subscribe
	p.Name, p.Why = name, why
	p.settle(box)
	p.Subscribe = p.Subscribe && subscribe
	for n := i + 1; n < len(places); n++ {
		q := &places[n]
		if q.Exists || !q.Source.Below(p.Source) || !q.Name.Below(old) {
			continue
		}
		q.Name = name + q.Name[len(old):]
		q.wish = q.Name
		q.Why = "the mailbox above it goes there"
	}
}

// maxComponent is how long a component of a plain name may be, in octets. File
// names end at 255, of which an encoding may take the greater part.
const maxComponent = 80

// plain is a name like n that hardly any server refuses: without the characters
// that mean something to servers or file systems, spaces at the ends of a
// component, or components that are very long or empty.
func plain(n mail.Name) mail.Name {
	parts := n.Components()
	for i, part := range parts {
		part = strings.ToValidUTF8(part, "_")
		part = strings.TrimSpace(strings.Map(plainRune, part))
		if len(part) > maxComponent {
			part = part[:maxComponent]
			for !utf8.ValidString(part) {
				part = part[:len(part)-1]
			}
			part = strings.TrimSpace(part)
		}
		if part == "" {
			part = "_"
		}
		parts[i] = part
	}
	return mail.NameOf(parts...)
}

func plainRune(r rune) rune {
	if unicode.IsControl(r) || strings.ContainsRune(`./\*%"#&~:<>|?^{}[]$!`, r) {
		return '_'
	}
	return r
}
