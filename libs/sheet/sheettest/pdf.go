// Package sheettest reads what package sheet writes. For tests only.
package sheettest

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"io"
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"
)

// PDFPages reads the text of each page of a PDF that package sheet wrote: each
// text that is drawn, in the order of drawing, with its characters from left
// to right. The test fails if it is no such PDF or a font is not embedded.
func PDFPages(t testing.TB, b []byte) (pages [][]string) {
	t.Helper()
	if !bytes.HasPrefix(b, []byte("%PDF-")) || !bytes.HasSuffix(b, []byte("%%EOF\n")) {
		t.Fatal("not a PDF")
	}
	objects := map[string][]byte{}
	for _, m := range regexp.MustCompile(`(?s)(\d+) 0 obj\n(.*?)\nendobj\n`).FindAllSubmatch(b, -1) {
		objects[string(m[1])] = m[2]
	}
	refer := func(from []byte, entry string) string {
		m := regexp.MustCompile(entry + ` ?(\d+) 0 R`).FindSubmatch(from)
		if m == nil {
			t.Fatalf("no %s in %s", entry, from)
		}
		return string(m[1])
	}
	stream := func(object string) []byte {
		m := regexp.MustCompile(`(?s)stream\n(.*)\nendstream`).FindSubmatch(objects[object])
		z, err := zlib.NewReader(bytes.NewReader(m[1]))
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		return content
	}
	catalog := objects[refer(b, `/Root`)]
	root := objects[refer(catalog, `/Pages`)]
	var resources []byte
	fonts := map[string]map[string]string{}
	for _, page := range regexp.MustCompile(`(\d+) 0 R`).FindAllSubmatch(root, -1) {
		page := objects[string(page[1])]
		if resources == nil {
			resources = objects[refer(page, `/Resources`)]
			for _, m := range regexp.MustCompile(`/(F\d+) (\d+) 0 R`).FindAllSubmatch(resources, -1) {
				font := objects[string(m[2])]
				if !bytes.Contains(objects[refer(objects[refer(font, `/DescendantFonts\[`)], `/FontDescriptor`)], []byte("/FontFile2")) {
					t.Errorf("font %s is not embedded", m[1])
				}
				fonts[string(m[1])] = map[string]string{}
				for _, c := range regexp.MustCompile(`<(\w{4})> <(\w*)>`).FindAllSubmatch(stream(refer(font, `/ToUnicode`)), -1) {
					fonts[string(m[1])][string(c[1])] = utf16Text(t, c[2])
				}
			}
		}
		var texts []string
		for _, block := range regexp.MustCompile(`(?s)BT .*?ET\n|/N Do`).FindAll(stream(refer(page, `/Contents`)), -1) {
			if string(block) == "/N Do" {
				texts[len(texts)-1] += pdfText(t, stream(refer(resources, `/N`)), fonts)
				continue
			}
			texts = append(texts, pdfText(t, block, fonts))
		}
		pages = append(pages, texts)
	}
	return pages
}

// pdfText is what one drawn text says.
func pdfText(t testing.TB, block []byte, fonts map[string]map[string]string) string {
	t.Helper()
	var b strings.Builder
	var font map[string]string
	actual := false
	for _, m := range regexp.MustCompile(`/(F\d+) |ActualText<FEFF(\w*)>|(EMC)|<(\w+)>`).FindAllSubmatch(block, -1) {
		switch {
		case m[1] != nil:
			font = fonts[string(m[1])]
		case m[2] != nil:
			actual = true
			b.WriteString(utf16Text(t, m[2]))
		case m[3] != nil:
			actual = false
		case !actual:
			for codes := m[4]; len(codes) > 0; codes = codes[4:] {
				text, ok := font[string(codes[:4])]
				if !ok {
					t.Errorf("code %s stands for no text", codes[:4])
				}
				b.WriteString(text)
			}
		}
	}
	return b.String()
}

func utf16Text(t testing.TB, digits []byte) string {
	t.Helper()
	b, err := hex.DecodeString(string(digits))
	if err != nil {
		t.Fatal(err)
	}
	units := make([]uint16, len(b)/2)
	for i := range units {
		units[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	return string(utf16.Decode(units))
}
