// Command makemail writes a Maildir of generated messages for measurements. The
// same arguments always make the same messages. It is no source of test data:
// the words are drawn at random.
//
//	makemail -dir PATH -count 100000                      short messages, 6 KB in the mean
//	makemail -dir PATH -count 5000 -attach 500000 -distinct 250   each with one of 250 attachments
package main

import (
	"bufio"
	"encoding/base64"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"
)

func main() {
	dir := flag.String("dir", "", "the Maildir to make or to add to")
	count := flag.Int("count", 1000, "messages")
	from := flag.Int("from", 0, "number of the first message; others are other messages")
	attach := flag.Int("attach", 0, "octets of an attachment, in base64; 0: none")
	distinct := flag.Int("distinct", 100, "different attachments")
	mean := flag.Int("mean", 5900, "octets of a message without attachment, in the mean")
	flag.Parse()
	if *dir == "" {
		flag.Usage()
		os.Exit(2)
	}
	m := maker{attach: *attach, distinct: max(*distinct, 1), mean: *mean}
	if err := m.make(*dir, *from, *count); err != nil {
		fmt.Fprintln(os.Stderr, "makemail:", err)
		os.Exit(1)
	}
}

type maker struct {
	attach, distinct, mean int
	words                  []string
}

func (m *maker) make(dir string, from, count int) error {
	for _, sub := range []string{"cur", "new", "tmp"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o700); err != nil {
			return err
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 8000 {
		word := make([]byte, 2+rng.IntN(9))
		for i := range word {
			word[i] = "etaoinshrdlucmfwypvbgkqjxz"[min(rng.IntN(26), rng.IntN(26))]
		}
		m.words = append(m.words, string(word))
	}
	for n := from; n < from+count; n++ {
		when := time.Unix(1_500_000_000+int64(n)*300, 0)
		path := filepath.Join(dir, "cur", fmt.Sprintf("%d.M%06dP4242.mail.example.com:2,S", when.Unix(), n%1_000_000))
		if err := m.message(path, n, when); err != nil {
			return err
		}
		if err := os.Chtimes(path, when, when); err != nil {
			return err
		}
	}
	return nil
}

func (m *maker) message(path string, n int, when time.Time) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	w := bufio.NewWriterSize(f, 64<<10)
	rng := rand.New(rand.NewPCG(uint64(n), 2))
	m.header(w, rng, n, when)
	if m.attach > 0 {
		fmt.Fprint(w, "Content-Type: multipart/mixed; boundary=\"=_b\"\n\n--=_b\nContent-Type: text/plain; charset=utf-8\n\n")
	} else {
		fmt.Fprint(w, "Content-Type: text/plain; charset=utf-8\n\n")
	}
	m.text(w, rng, int(float64(m.mean-1700)*rng.ExpFloat64()))
	if m.attach > 0 {
		k := rng.IntN(m.distinct)
		fmt.Fprintf(w, "--=_b\nContent-Type: application/pdf; name=\"report-%d.pdf\"\nContent-Disposition: attachment; filename=\"report-%d.pdf\"\nContent-Transfer-Encoding: base64\n\n", k, k)
		m.attachment(w, k)
		fmt.Fprint(w, "\n--=_b--\n")
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Close()
}

// header is as long, and as hard to compress, as that of mail which crossed three servers.
func (m *maker) header(w *bufio.Writer, rng *rand.Rand, n int, when time.Time) {
	random := func(octets int) string {
		b := make([]byte, octets)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return base64.StdEncoding.EncodeToString(b)
	}
	date := when.UTC().Format(time.RFC1123Z)
	fmt.Fprintf(w, "Return-Path: <list-bounce@example.org>\nDelivered-To: alice@example.com\n")
	for hop := range 3 {
		fmt.Fprintf(w, "Received: from relay%d.example.org (relay%d.example.org [192.0.2.%d])\n\tby mx%d.example.com (Postfix) with ESMTPS id %s\n\tfor <alice@example.com>; %s\n",
			hop, hop, rng.IntN(250), hop, random(8), date)
	}
	fmt.Fprintf(w, "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org;\n\ts=mail; h=from:to:subject:date; bh=%s;\n\tb=%s\n", random(32), random(256))
	fmt.Fprintf(w, "Message-ID: <%d.%s@example.org>\nFrom: \"%s\" <%s@example.org>\nTo: alice@example.com\nSubject: %s\nDate: %s\nMIME-Version: 1.0\n",
		n, random(9), m.phrase(rng, 2), m.words[rng.IntN(300)], m.phrase(rng, 6), date)
}

func (m *maker) phrase(rng *rand.Rand, n int) string {
	words := make([]string, n)
	for i := range words {
		words[i] = m.word(rng)
	}
	return strings.Join(words, " ")
}

// word draws by a law like that of natural text: few words are most of it.
func (m *maker) word(rng *rand.Rand) string {
	x := rng.Float64()
	return m.words[int(x*x*x*float64(len(m.words)))]
}

func (m *maker) text(w *bufio.Writer, rng *rand.Rand, octets int) {
	for octets > 0 {
		line := m.phrase(rng, 10) + "\n"
		w.WriteString(line)
		octets -= len(line)
	}
}

// attachment is random but for a tenth of text, as packed documents are.
func (m *maker) attachment(w *bufio.Writer, k int) {
	rng := rand.New(rand.NewPCG(uint64(k), 3))
	b := make([]byte, m.attach*3/4)
	for i := 0; i < len(b); {
		if rng.IntN(10) == 0 {
			i += copy(b[i:], m.phrase(rng, 20))
			continue
		}
		for end := min(i+120, len(b)); i < end; i++ {
			b[i] = byte(rng.Uint32())
		}
	}
	text := base64.StdEncoding.EncodeToString(b)
	for len(text) > 0 {
		n := min(76, len(text))
		w.WriteString(text[:n])
		w.WriteByte('\n')
		text = text[n:]
	}
}
