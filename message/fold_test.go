package message

import (
	"strings"
	"testing"
)

// A word is found however it is written: in any case, with or without accents, composed or not, in scripts without blanks too.
func TestWordsContain(t *testing.T) {
	for name, c := range map[string]struct {
		text, phrase string
		prefix, want bool
	}{
		"case":                      {"Your INVOICE is here", "invoice", false, true},
		"a whole word only":         {"invoices", "invoice", false, false},
		"prefix":                    {"invoices", "invoice", true, true},
		"no infix":                  {"reinvoice", "invoice", true, false},
		"phrase":                    {"the annual, report: 2026", "annual report", false, true},
		"order":                     {"report annual", "annual report", false, false},
		"address":                   {"Bob <bob.smith@example.org>", "bob.smith@example.org", false, true},
		"accents left out":          {"Grüße aus Zürich", "grusse aus zurich", false, true},
		"accents put in":            {"Zurich", "Zürich", false, true},
		"decomposed":                {"Zu\u0308rich", "zürich", false, true},
		"sharp s":                   {"STRASSE", "straße", false, true},
		"stroke":                    {"Łódź, Ørsted", "lodz orsted", false, true},
		"Greek final sigma":         {"ΟΔΟΣ", "οδος", false, true},
		"Greek accent":              {"Αθήνα", "αθηνα", false, true},
		"Cyrillic":                  {"СЧЁТ", "счет", false, true},
		"Turkish dotless":           {"ısı", "isi", false, true},
		"full width":                {"ＡＢＣ１２", "abc12", false, true},
		"ligature":                  {"ﬁnance", "finance", false, true},
		"Chinese within a sentence": {"请查收附件中的发票谢谢", "发票", false, true},
		"Chinese, other order":      {"票发", "发票", false, false},
		"Japanese keeps its marks":  {"がく", "かく", false, false},
		"half-width Kana":           {"ｶﾞｽ", "ガス", false, true},
		"Korean with its particle":  {"청구서를", "청구서", false, true},
		"Thai":                      {"ใบแจ้งหนี้", "แจ้ง", false, true},
		"Hebrew without points":     {"שָׁלוֹם עולם", "שלום", false, true},
		"Arabic without points":     {"فَاتُورَة", "فاتورة", false, true},
		"Arabic with tatweel":       {"فاتـــورة", "فاتورة", false, true},
		"direction marks":           {"\u200fשלום\u200f", "שלום", false, true},
		"soft hyphen":               {"Rech\u00adnung", "rechnung", false, true},
		"Hindi keeps its vowels":    {"कि", "क", false, false},
		"nothing is no phrase":      {"anything", "...", false, false},
		"not over a word":           {"a bc", "ab c", false, false},
		"Latin beside Han":          {"订单ABC号", "abc", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := WordsOf(c.text).Contain(WordsOf(c.phrase), c.prefix); got != c.want {
				t.Errorf("WordsOf(%q) = %q .Contain(%q, %v) = %v, want %v", c.text, WordsOf(c.text), WordsOf(c.phrase), c.prefix, got, c.want)
			}
		})
	}
}

// Words are one form: folding them again changes nothing, and there is one blank between two.
func FuzzWordsOf(f *testing.F) {
	for _, s := range []string{"", "Grüße", "\u0301a", "a\u200d\u0301b", "請求書 Invoice", "\xff\xfe", "İ", "ﷺ", "각"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		w := WordsOf(s)
		if w != "" && (w[0] != ' ' || w[len(w)-1] != ' ' || len(w) < 3) || strings.Contains(string(w), "  ") {
			t.Errorf("WordsOf(%q) = %q", s, w)
		}
		if again := WordsOf(string(w)); again != w {
			t.Errorf("WordsOf(%q) = %q, and again %q", s, w, again)
		}
	})
}
