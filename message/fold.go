package message

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// Words is a text as search compares it: its words in the order in which they stand, folded, with a
// blank before each and one behind the last; "" if there is none. So a phrase stands in a text if, and
// only if, the Words of the one are a substring of those of the other.
type Words string

// WordsOf folds a text. A word is a run of letters, digits and marks. Where a script puts no blanks
// between words (Han, Kana, Hangul, Thai, Lao, Khmer, Myanmar, Tibetan), each character is one.
// Compatibility forms and case are evened out (NFKC, full case folding), and in Latin, Greek,
// Cyrillic, Hebrew and Arabic so are accents and points; in other scripts a mark makes another letter.
// What has no width (joiners, direction marks, soft hyphens, the tatweel) is passed over.
func WordsOf(text string) Words {
	plain := true
	for i := 0; i < len(text) && plain; i++ {
		plain = text[i] < utf8.RuneSelf
	}
	var f folder
	f.out.Grow(len(text) + 2)
	if plain {
		for i := range len(text) {
			f.ascii(text[i])
		}
	} else {
		for _, r := range norm.NFKD.String(cases.Fold().String(norm.NFKC.String(strings.ToValidUTF8(text, " ")))) {
			f.rune(r)
		}
	}
	if !f.open {
		return Words(f.out.String())
	}
	f.out.WriteByte(' ')
	if plain {
		return Words(f.out.String())
	}
	return Words(norm.NFC.String(f.out.String()))
}

// Contain reports whether a phrase stands in w. With prefix, its last word may go on in w.
func (w Words) Contain(phrase Words, prefix bool) bool {
	if phrase == "" {
		return false
	}
	if prefix {
		phrase = phrase[:len(phrase)-1]
	}
	return strings.Contains(string(w), string(phrase))
}

// folder writes words.
type folder struct {
	out    strings.Builder
	open   bool // the last word may go on
	bare   bool // the last letter is of a script whose marks are passed over
	single bool // the last character is a word of its own
	any    bool // there is a word
}

func (f *folder) ascii(c byte) {
	switch {
	case 'A' <= c && c <= 'Z':
		c += 'a' - 'A'
	case 'a' <= c && c <= 'z', '0' <= c && c <= '9':
	default:
		f.gap()
		return
	}
	f.begin(false)
	f.bare = true
	f.out.WriteByte(c)
}

func (f *folder) rune(r rune) {
	switch {
	case r < utf8.RuneSelf:
		f.ascii(byte(r))
	case unicode.In(r, unicode.Mn, unicode.Mc, unicode.Me):
		if f.open && !f.bare {
			f.out.WriteRune(r)
		}
	case unicode.Is(unicode.Cf, r), r == tatweel:
	case !unicode.IsLetter(r) && !unicode.IsNumber(r):
		f.gap()
	default:
		f.begin(unicode.In(r, unspaced...))
		f.bare = unicode.In(r, accented...)
		if letters, ok := undecomposed[r]; ok {
			f.out.WriteString(letters)
			return
		}
		f.out.WriteRune(r)
	}
}

// begin writes the blank before a word, if a new one begins.
func (f *folder) begin(single bool) {
	if !f.open || single || f.single {
		f.out.WriteByte(' ')
	}
	f.open, f.single, f.any = true, single, true
}

// gap ends a word. The blank behind it is that before the next.
func (f *folder) gap() {
	if f.any {
		f.open, f.single = true, true
	}
}

const tatweel = 'ـ'

// unspaced are the scripts in which no blanks stand between words.
var unspaced = []*unicode.RangeTable{unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Bopomofo,
	unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar, unicode.Tibetan}

// accented are the scripts whose letters are known without their marks.
var accented = []*unicode.RangeTable{unicode.Latin, unicode.Greek, unicode.Cyrillic, unicode.Hebrew, unicode.Arabic}

// undecomposed are letters that people write without their stroke or in two, and that Unicode does not take apart.
var undecomposed = map[rune]string{'ø': "o", 'ł': "l", 'đ': "d", 'ð': "d", 'ħ': "h", 'ı': "i", 'ŧ': "t", 'æ': "ae", 'œ': "oe", 'þ': "th"}
