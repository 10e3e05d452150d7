package sheet

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
)

// Objects of a document whose numbers are fixed.
const (
	catalogObject = iota + 1
	pagesObject
	resourcesObject
	pageCountObject
	infoObject
	firstFreeObject
)

// document writes a PDF (ISO 32000-1) page by page. What is not known before
// the last page, the fonts and the number of pages, comes at the end.
type document struct {
	w       *bufio.Writer
	at      int
	offsets []int // by object number; 0 while the object is not written
	pages   []int
	zip     *zlib.Writer
	packed  bytes.Buffer
}

func newDocument(w io.Writer) *document {
	d := &document{w: bufio.NewWriterSize(w, 64<<10), offsets: make([]int, firstFreeObject)}
	d.zip = zlib.NewWriter(&d.packed)
	d.printf("%%PDF-1.7\n%%\xe2\xe3\xcf\xd3\n")
	return d
}

// printf writes to the document. The writer keeps its first error until it is
// flushed.
func (d *document) printf(format string, args ...any) {
	n, _ := fmt.Fprintf(d.w, format, args...)
	d.at += n
}

func (d *document) newObject() int {
	d.offsets = append(d.offsets, 0)
	return len(d.offsets) - 1
}

func (d *document) object(number int, format string, args ...any) {
	d.offsets[number] = d.at
	d.printf("%d 0 obj\n", number)
	d.printf(format, args...)
	d.printf("\nendobj\n")
}

// stream writes an object with data; entries are those of its dictionary, less
// what tells of the compression.
func (d *document) stream(number int, entries string, data []byte) {
	d.packed.Reset()
	d.zip.Reset(&d.packed)
	_, _ = d.zip.Write(data) // into memory
	_ = d.zip.Close()
	d.object(number, "<<%s/Filter/FlateDecode/Length %d>>\nstream\n%s\nendstream", entries, d.packed.Len(), d.packed.Bytes())
}

// page writes a page. It returns the writer's error.
func (d *document) page(content []byte) error {
	page, contents := d.newObject(), d.newObject()
	d.pages = append(d.pages, page)
	d.object(page, "<</Type/Page/Parent %d 0 R/Resources %d 0 R/Contents %d 0 R>>", pagesObject, resourcesObject, contents)
	d.stream(contents, "", content)
	_, err := d.w.Write(nil)
	return err
}

// close writes what is left: the fonts, the drawing that every page shows as
// /N, and the index.
func (d *document) close(title string, width, height float64, fonts []*pdfFont, pageCount []byte) error {
	var names strings.Builder
	for _, f := range fonts {
		fmt.Fprintf(&names, "/F%d %d 0 R", f.number, d.font(f))
	}
	d.object(resourcesObject, "<</Font<<%s>>/XObject<</N %d 0 R>>>>", names.String(), pageCountObject)
	d.stream(pageCountObject, fmt.Sprintf("/Type/XObject/Subtype/Form/BBox[0 -10 %s 10]/Resources %d 0 R", number(width), resourcesObject), pageCount)
	var kids strings.Builder
	for _, p := range d.pages {
		fmt.Fprintf(&kids, "%d 0 R ", p)
	}
	d.object(pagesObject, "<</Type/Pages/MediaBox[0 0 %s %s]/Count %d/Kids[%s]>>", number(width), number(height), len(d.pages), kids.String())
	d.object(catalogObject, "<</Type/Catalog/Pages %d 0 R/ViewerPreferences<</DisplayDocTitle true>>>>", pagesObject)
	d.object(infoObject, "<</Title<FEFF%s>>>", utf16Hex(title))

	index := d.at
	d.printf("xref\n0 %d\n0000000000 65535 f \n", len(d.offsets))
	for _, at := range d.offsets[1:] {
		d.printf("%010d 00000 n \n", at)
	}
	d.printf("trailer\n<</Size %d/Root %d 0 R/Info %d 0 R>>\nstartxref\n%d\n%%%%EOF\n", len(d.offsets), catalogObject, infoObject, index)
	return d.w.Flush()
}

// font embeds the glyphs of a font and returns the number of its object.
func (d *document) font(f *pdfFont) int {
	file := f.face.file
	fontFile, descriptor, descendant, toUnicode, object := d.newObject(), d.newObject(), d.newObject(), d.newObject(), d.newObject()
	// Six letters tell subsets of one font from each other.
	name := fmt.Sprintf("AAAA%c%c+%s", 'A'+f.number/26%26, 'A'+f.number%26, f.face.name)

	data := file.subset(f.glyphs)
	d.stream(fontFile, fmt.Sprintf("/Length1 %d", len(data)), data)
	const symbolic = 4 // the glyphs are not those of a standard character set
	ascent := number(file.metric("hhea", 4))
	d.object(descriptor, "<</Type/FontDescriptor/FontName/%s/Flags %d/FontBBox[%s %s %s %s]/ItalicAngle 0/Ascent %s/Descent %s/CapHeight %s/StemV 80/FontFile2 %d 0 R>>",
		name, symbolic, number(file.metric("head", 36)), number(file.metric("head", 38)), number(file.metric("head", 40)), number(file.metric("head", 42)),
		ascent, number(file.metric("hhea", 6)), ascent, fontFile)
	var widths strings.Builder
	for _, g := range f.glyphs {
		widths.WriteString(number(file.width(g)))
		widths.WriteByte(' ')
	}
	d.object(descendant, "<</Type/Font/Subtype/CIDFontType2/BaseFont/%s/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>/FontDescriptor %d 0 R/CIDToGIDMap/Identity/W[0[%s]]>>",
		name, descriptor, widths.String())
	d.stream(toUnicode, "", f.toUnicode())
	d.object(object, "<</Type/Font/Subtype/Type0/BaseFont/%s/Encoding/Identity-H/DescendantFonts[%d 0 R]/ToUnicode %d 0 R>>", name, descendant, toUnicode)
	return object
}

// toUnicode maps the font's codes to the text that they stand for.
func (f *pdfFont) toUnicode() []byte {
	var b bytes.Buffer
	b.WriteString("/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n" +
		"/CIDSystemInfo <</Registry (Adobe) /Ordering (UCS) /Supplement 0>> def\n/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n" +
		"1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n")
	const most = 100 // in one list
	for from := 1; from < len(f.texts); from += most {
		texts := f.texts[from:min(from+most, len(f.texts))]
		fmt.Fprintf(&b, "%d beginbfchar\n", len(texts))
		for i, t := range texts {
			fmt.Fprintf(&b, "<%04X> <%s>\n", from+i, utf16Hex(t))
		}
		b.WriteString("endbfchar\n")
	}
	b.WriteString("endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n")
	return b.Bytes()
}

func utf16Hex(s string) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, "%04X", u)
	}
	return b.String()
}

// appendText appends the operators that draw glyphs from left to right, the
// first at the given point.
func appendText(b []byte, glyphs []glyph, size, x, y float64) []byte {
	const hex = "0123456789ABCDEF"
	var (
		font       *pdfFont
		drift, up  float64 // of the place where the next glyph goes, from where the font would put it; of the baseline
		next       float64
		inString   bool
		cluster    int // glyphs that are left of the text that is told apart
		closeArray = func() {
			if inString {
				b = append(b, '>')
			}
			b = append(b, "]TJ\n"...)
			inString = false
		}
	)
	b = append(b, "BT "...)
	b = appendNumbers(b, x, y)
	b = append(b, "Td\n"...)
	for _, g := range glyphs {
		if g.font != font || g.y != up || g.cluster > 1 {
			if font != nil {
				closeArray()
			}
			if g.font != font {
				font = g.font
				b = append(b, "/F"...)
				b = strconv.AppendInt(b, int64(font.number), 10)
				b = append(b, ' ')
				b = appendNumbers(b, size)
				b = append(b, "Tf "...)
			}
			if g.y != up {
				up = g.y
				b = appendNumbers(b, up*size/1000)
				b = append(b, "Ts "...)
			}
			if g.cluster > 1 {
				cluster = g.cluster
				b = append(b, "/Span<</ActualText<FEFF"+utf16Hex(g.text)+">>>BDC "...)
			}
			b = append(b, '[')
		}
		if next = drift + g.x; next > 0.5 || next < -0.5 {
			if inString {
				b = append(b, '>')
			}
			inString = false
			b = appendNumbers(b, -next)
			drift -= next
		}
		if !inString {
			b = append(b, '<')
			inString = true
		}
		b = append(b, hex[g.code>>12], hex[g.code>>8&15], hex[g.code>>4&15], hex[g.code&15])
		drift += g.advance - g.width
		if cluster--; cluster == 0 {
			closeArray()
			b = append(b, "EMC ["...)
		}
	}
	if font != nil {
		closeArray()
	}
	if up != 0 {
		b = append(b, "0 Ts "...)
	}
	return append(b, "ET\n"...)
}

// appendNumbers appends numbers, each with a space after it.
func appendNumbers(b []byte, numbers ...float64) []byte {
	for _, n := range numbers {
		b = append(append(b, number(n)...), ' ')
	}
	return b
}

func number(n float64) string {
	s := strconv.FormatFloat(n, 'f', 2, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
