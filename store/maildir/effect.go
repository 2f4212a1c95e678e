package maildir

import (
	"context"
	"errors"
	"fmt"
	"path"

	"roost/mail"
)

// SetFlags renames files. Flags that Maildir has no letter for are reported by
// a *mail.Loss; the others are set all the same.
func (s *Store) SetFlags(ctx context.Context, name mail.Name, keys []mail.Key, add, remove mail.Flags) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b, err := s.box("set flags", name)
	if err != nil || len(keys) == 0 {
		return err
	}
	n, release, err := s.letters(ctx, b, add)
	if err != nil {
		return s.fail("set flags", name, err)
	}
	defer release()
	f := finder{store: s, box: b}
	defer f.close()
	_, lost := changeLetters("", add, "", n)
	changed := false
	for _, key := range keys {
		err := f.at(ctx, key, func(old string) error {
			before, letters, behind := splitInfo(path.Base(old))
			wanted, _ := changeLetters(letters, add, remove, n)
			if wanted == letters {
				_, err := s.root.Lstat(b.path(old)) // or it has other letters by now
				return err
			}
			target := path.Join("cur", before+wanted+behind)
			err := s.root.Rename(b.path(old), b.path(target))
			if err == nil {
				changed = true
				s.note(b.dir, key, target)
			}
			return err
		})
		if err != nil && !errors.Is(err, mail.ErrGone) {
			return s.failKey("set flags", name, key, err)
		}
	}
	if changed {
		if err := s.syncDirs(b.path("cur")); err != nil {
			return s.fail("set flags", name, err)
		}
	}
	if lost != "" {
		return &mail.Loss{Flags: lost}
	}
	return nil
}

// letters gives letters to keywords. The lock is held only while one is new:
// renaming needs none.
func (s *Store) letters(ctx context.Context, b box, add mail.Flags) (*keywords, func(), error) {
	k, err := s.keywordsOf(b.dir)
	if err != nil {
		return nil, nil, err
	}
	if trial := *k; !trial.learn(add) {
		return k, func() {}, nil
	}
	n, release, err := s.begin(ctx, b, add)
	if err != nil {
		return nil, nil, err
	}
	release()
	return n.keywords, func() {}, nil
}

// Expunge removes the files of exactly these messages.
func (s *Store) Expunge(ctx context.Context, name mail.Name, keys []mail.Key) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b, err := s.box("expunge", name)
	if err != nil || len(keys) == 0 {
		return err
	}
	f := finder{store: s, box: b}
	defer f.close()
	var went tally
	defer func() { s.account(b.dir, tally{}, went) }()
	for _, key := range keys {
		err := f.at(ctx, key, func(old string) error {
			size := s.sizeOf(b, old)
			err := s.root.Remove(b.path(old))
			if err == nil {
				went.add(size)
			}
			return err
		})
		if err != nil && !errors.Is(err, mail.ErrGone) {
			return s.failKey("expunge", name, key, err)
		}
		if err == nil {
			s.note(b.dir, key, "")
		}
	}
	for _, sub := range []string{"cur", "new"} {
		if is, _ := s.root.Stat(b.path(sub)); is != nil {
			if err := s.syncDirs(b.path(sub)); err != nil {
				return s.fail("expunge", name, err)
			}
		}
	}
	return nil
}

// Move renames files to cur of the other mailbox. A message keeps its base
// name, and with it its GUID, unless the other mailbox knows that name already.
func (s *Store) Move(ctx context.Context, from mail.Name, keys []mail.Key, to mail.Name) ([]mail.Key, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	source, err := s.box("move", from)
	if err != nil {
		return nil, err
	}
	dest, err := s.box("move", to)
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	moved := make([]mail.Key, len(keys))
	mv := mover{store: s, source: source, dest: dest, keys: keys, moved: moved}
	if err := mv.prepare(ctx); err != nil {
		return nil, s.fail("move", from, err)
	}
	err = s.deliver(ctx, dest, mv.words, func(n *numbering) error { return mv.place(ctx, n) })
	if (source.dir == trashDir) != (dest.dir == trashDir) {
		s.account(source.dir, tally{}, mv.tally)
		s.account(dest.dir, mv.tally, tally{})
	}
	if err == nil {
		err = s.syncDirs(source.path("cur"))
	}
	if err != nil {
		return moved, s.fail("move", from, err)
	}
	return moved, nil
}

// mover moves messages from one mailbox to another.
type mover struct {
	store        *Store
	source, dest box
	keys, moved  []mail.Key

	keywords *keywords           // of the source
	words    mail.Flags          // all keywords of the source, which the messages may have
	guids    map[string]string   // of base names, where the source's uidlist has one
	taken    map[string]struct{} // base names that the destination knows
	tally    tally               // of what was moved
}

func (m *mover) prepare(ctx context.Context) (err error) {
	if m.keywords, err = m.store.keywordsOf(m.source.dir); err != nil {
		return err
	}
	wanted := make(map[string]struct{}, len(m.keys))
	l, err := m.store.listing(ctx, m.source.dir)
	if err != nil {
		return err
	}
	for _, key := range m.keys {
		if old, ok := l.where(key); ok {
			name := path.Base(old)
			wanted[name[:baseLen(name)]] = struct{}{}
			_, letters, _ := splitInfo(name)
			m.words = m.words.Plus(flagsOf(letters, m.keywords).Keywords())
		}
	}
	m.guids = make(map[string]string)
	if _, err = m.store.readUIDList(m.source.dir, func(r record) {
		if guid := r.guid(); guid != "" {
			if _, ok := wanted[string(r.name)]; ok {
				m.guids[string(r.name)] = guid
			}
		}
	}); err != nil {
		return err
	}
	m.taken = make(map[string]struct{})
	if _, err = m.store.readUIDList(m.dest.dir, func(r record) {
		if _, ok := wanted[string(r.name)]; ok {
			m.taken[string(r.name)] = struct{}{}
		}
	}); err != nil {
		return err
	}
	there, err := m.store.rescan(ctx, m.dest.dir)
	if err != nil {
		return err
	}
	for base := range wanted {
		if there.file(mail.Key(base)) != nil {
			m.taken[base] = struct{}{}
		}
	}
	return nil
}

func (m *mover) place(ctx context.Context, n *numbering) error {
	s := m.store
	f := finder{store: s, box: m.source}
	defer f.close()
	for i, key := range m.keys {
		var base, guid, target string
		err := f.at(ctx, key, func(old string) error {
			name := path.Base(old)
			_, letters, behind := splitInfo(name)
			base = name[:baseLen(name)]
			guid = m.guids[base]
			if _, taken := m.taken[base]; taken {
				if guid == "" {
					guid = base
				}
				base = s.newName() + sizes(base)
			}
			letters, _ = changeLetters("", flagsOf(letters, m.keywords), "", n.keywords)
			target = path.Join("cur", base+":2,"+letters+behind)
			return s.root.Rename(m.source.path(old), m.dest.path(target))
		})
		if errors.Is(err, mail.ErrGone) {
			continue
		}
		if err != nil {
			return fmt.Errorf("message %s to %s: %w", key, m.dest.name, err)
		}
		s.note(m.source.dir, key, "")
		s.note(m.dest.dir, mail.Key(base), target)
		m.taken[base] = struct{}{}
		m.tally.add(s.sizeOf(m.dest, target))
		m.moved[i] = mail.Key(base)
		if err := n.give(base, 0, guid); err != nil {
			return err
		}
	}
	return nil
}

// sizes are the fields of a base name that say its sizes.
func sizes(base string) string {
	text := ""
	for _, key := range []byte("SW") {
		if n, ok := field(base, key); ok {
			text += fmt.Sprintf(",%c=%d", key, n)
		}
	}
	return text
}

// Number writes a uidlist for an empty mailbox. It is good for this Store until
// it is closed: opened again, Append gives UIDs in order. If a Dovecot has the
// mailbox open meanwhile, it gives UIDs beyond uidNext to messages that come
// with lower ones after it has looked.
func (s *Store) Number(ctx context.Context, name mail.Name, uidValidity, uidNext uint32) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b, err := s.box("number", name)
	if err != nil {
		return err
	}
	if uidValidity == 0 {
		return s.fail("number", name, errors.New("UIDVALIDITY is 0"))
	}
	release, err := s.lock(ctx, b.dir)
	if err != nil {
		return s.fail("number", name, err)
	}
	defer release()
	l, err := s.rescan(ctx, b.dir)
	if err != nil {
		return s.fail("number", name, err)
	}
	if len(l.files) > 0 {
		return s.fail("number", name, mail.ErrExist)
	}
	old, err := s.numbersOf(b.dir)
	if err != nil {
		return s.fail("number", name, err)
	}
	fresh := numbers{uidValidity: uidValidity, uidNext: max(uidNext, 1), guid: old.guid, extra: old.extra}
	if err := s.rewriteUIDList(b.dir, fresh, nil); err != nil {
		return s.fail("number", name, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.numbered[b.dir] = true
	return nil
}
