package sheet

import (
	"bytes"
	"compress/gzip"
	"embed"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/go-text/typesetting/font"
)

//go:embed font/*.ttf.gz
var fontFiles embed.FS

// block is a range of code points, both ends included.
type block struct{ first, last rune }

// typeface is an embedded font and the code points that are looked up in it.
type typeface struct {
	name   string
	blocks []block
	// unjoined says that each character of the blocks, unless it is a mark,
	// has one glyph that its neighbours do not change.
	unjoined bool
	// load reads the font, once. A font that nobody's text needs stays
	// compressed.
	load func() *trueType
}

// latin is the typeface of Latin, Greek and Cyrillic, and of what is in no
// other typeface.
var latin = newTypeface("NotoSans", true)

var typefaces = []*typeface{
	newTypeface("DroidSansFallbackHan", true, block{0x2e80, 0x30ff}, block{0x3190, 0x9fff}, block{0xf900, 0xfaff}, block{0xff00, 0xffef}),
	newTypeface("DroidSansFallbackHangul", true, block{0x3130, 0x318f}, block{0xac00, 0xd7a3}),
	newTypeface("NotoSansMath", true, block{0x2190, 0x22ff}),
	newTypeface("NotoSansSymbols", true, block{0x2460, 0x24ff}),
	newTypeface("NotoSansSymbols2", true, block{0x25a0, 0x27bf}),
	newTypeface("NotoSansArmenian", false, block{0x0530, 0x058f}, block{0xfb13, 0xfb17}),
	newTypeface("NotoSansHebrew", false, block{0x0590, 0x05ff}, block{0xfb1d, 0xfb4f}),
	newTypeface("NotoSansArabic", false, block{0x0600, 0x06ff}, block{0x0750, 0x077f}, block{0x08a0, 0x08ff}, block{0xfb50, 0xfdff}, block{0xfe70, 0xfefc}),
	newTypeface("NotoSansThaana", false, block{0x0780, 0x07bf}),
	newTypeface("NotoSansDevanagari", false, block{0x0900, 0x097f}, block{0xa8e0, 0xa8ff}),
	newTypeface("NotoSansBengali", false, block{0x0980, 0x09ff}),
	newTypeface("NotoSansGurmukhi", false, block{0x0a00, 0x0a7f}),
	newTypeface("NotoSansGujarati", false, block{0x0a80, 0x0aff}),
	newTypeface("NotoSansOriya", false, block{0x0b00, 0x0b7f}),
	newTypeface("NotoSansTamil", false, block{0x0b80, 0x0bff}),
	newTypeface("NotoSansTelugu", false, block{0x0c00, 0x0c7f}),
	newTypeface("NotoSansKannada", false, block{0x0c80, 0x0cff}),
	newTypeface("NotoSansMalayalam", false, block{0x0d00, 0x0d7f}),
	newTypeface("NotoSansSinhala", false, block{0x0d80, 0x0dff}),
	newTypeface("NotoSansThai", false, block{0x0e00, 0x0e7f}),
	newTypeface("NotoSansLao", false, block{0x0e80, 0x0eff}),
	newTypeface("NotoSansMyanmar", false, block{0x1000, 0x109f}, block{0xa9e0, 0xa9ff}, block{0xaa60, 0xaa7f}),
	newTypeface("NotoSansGeorgian", false, block{0x10a0, 0x10ff}, block{0x1c90, 0x1cbf}, block{0x2d00, 0x2d2f}),
	newTypeface("NotoSansEthiopic", false, block{0x1200, 0x139f}, block{0x2d80, 0x2ddf}, block{0xab00, 0xab2f}),
	newTypeface("NotoSansKhmer", false, block{0x1780, 0x17ff}, block{0x19e0, 0x19ff}),
}

func newTypeface(name string, unjoined bool, blocks ...block) *typeface {
	return &typeface{name: name, blocks: blocks, unjoined: unjoined, load: sync.OnceValue(func() *trueType {
		f, err := openTrueType("font/" + name + ".ttf.gz")
		if err != nil {
			panic(fmt.Sprintf("embedded font %s: %v", name, err)) // the binary itself is broken
		}
		return f
	})}
}

// typefaceOf is the typeface in which a character is looked up first.
func typefaceOf(r rune) *typeface {
	for _, t := range typefaces {
		for _, b := range t.blocks {
			if b.first <= r && r <= b.last {
				return t
			}
		}
	}
	return latin
}

// trueType is a font: parsed, to shape text, and its tables, to embed glyphs
// from it. It is not changed after it was read.
type trueType struct {
	font      *font.Font
	tables    map[string][]byte
	unitsPer  float64 // units per em
	numWidths int     // glyphs with a width of their own; the others have the last one's
	longLoca  bool
}

func openTrueType(file string) (*trueType, error) {
	packed, err := fontFiles.ReadFile(file)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	face, err := font.ParseTTF(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	f := &trueType{font: face.Font, tables: map[string][]byte{}}
	for i := range int(binary.BigEndian.Uint16(b[4:])) {
		e := b[12+16*i:]
		at, size := binary.BigEndian.Uint32(e[8:]), binary.BigEndian.Uint32(e[12:])
		f.tables[string(e[:4])] = b[at:][:size]
	}
	f.unitsPer = float64(face.Upem())
	f.numWidths = int(binary.BigEndian.Uint16(f.tables["hhea"][34:]))
	f.longLoca = f.tables["head"][51] == 1
	return f, nil
}

// width is a glyph's advance in thousandths of an em.
func (f *trueType) width(glyph uint16) float64 {
	return float64(binary.BigEndian.Uint16(f.metrics(glyph))) * 1000 / f.unitsPer
}

// metrics are a glyph's advance width and left side bearing, as in the table
// hmtx.
func (f *trueType) metrics(glyph uint16) []byte {
	hmtx, g := f.tables["hmtx"], int(glyph)
	if g < f.numWidths {
		return hmtx[4*g:][:4]
	}
	bearing := hmtx[4*f.numWidths+2*(g-f.numWidths):][:2]
	return append(slices.Clone(hmtx[4*(f.numWidths-1):][:2]), bearing...)
}

func (f *trueType) outline(glyph uint16) []byte {
	loca, g := f.tables["loca"], int(glyph)
	if f.longLoca {
		return f.tables["glyf"][binary.BigEndian.Uint32(loca[4*g:]):binary.BigEndian.Uint32(loca[4*g+4:])]
	}
	return f.tables["glyf"][2*int(binary.BigEndian.Uint16(loca[2*g:])) : 2*int(binary.BigEndian.Uint16(loca[2*g+2:]))]
}

// metric is a signed number of the table hhea or head, in thousandths of an em.
func (f *trueType) metric(table string, at int) float64 {
	return float64(int16(binary.BigEndian.Uint16(f.tables[table][at:]))) * 1000 / f.unitsPer
}

// subset makes a font file of the given glyphs, numbered in their order, and
// of the glyphs they are composed of, after them. It has the tables that a PDF
// asks for.
func (f *trueType) subset(glyphs []uint16) []byte {
	glyphs = slices.Clone(glyphs)
	component := map[uint16]uint16{}
	var glyf, loca, hmtx []byte
	for i := 0; i < len(glyphs); i++ { // grows on the way
		loca = binary.BigEndian.AppendUint32(loca, uint32(len(glyf)))
		hmtx = append(hmtx, f.metrics(glyphs[i])...)
		start := len(glyf)
		glyf = append(glyf, f.outline(glyphs[i])...)
		for ref := range componentRefs(glyf[start:]) {
			old := binary.BigEndian.Uint16(ref)
			id, ok := component[old]
			if !ok {
				id = uint16(len(glyphs))
				component[old] = id
				glyphs = append(glyphs, old)
			}
			binary.BigEndian.PutUint16(ref, id)
		}
		for len(glyf)%4 != 0 {
			glyf = append(glyf, 0)
		}
	}
	loca = binary.BigEndian.AppendUint32(loca, uint32(len(glyf)))

	head, hhea, maxp := slices.Clone(f.tables["head"]), slices.Clone(f.tables["hhea"]), slices.Clone(f.tables["maxp"])
	binary.BigEndian.PutUint32(head[8:], 0)  // checkSumAdjustment
	binary.BigEndian.PutUint16(head[50:], 1) // long offsets in loca
	binary.BigEndian.PutUint16(hhea[34:], uint16(len(glyphs)))
	binary.BigEndian.PutUint16(maxp[4:], uint16(len(glyphs)))

	tables := []struct {
		tag  string
		data []byte
	}{{"glyf", glyf}, {"head", head}, {"hhea", hhea}, {"hmtx", hmtx}, {"loca", loca}, {"maxp", maxp}}
	out := []byte{0, 1, 0, 0, 0, 6, 0, 64, 0, 2, 0, 32} // version, 6 tables, and what follows from 6
	at := len(out) + 16*len(tables)
	for _, t := range tables {
		out = append(out, t.tag...)
		out = binary.BigEndian.AppendUint32(out, checksum(t.data))
		out = binary.BigEndian.AppendUint32(out, uint32(at))
		out = binary.BigEndian.AppendUint32(out, uint32(len(t.data)))
		at += (len(t.data) + 3) &^ 3
	}
	for _, t := range tables {
		out = append(out, t.data...)
		for len(out)%4 != 0 {
			out = append(out, 0)
		}
	}
	return out
}

// componentRefs yields the bytes in a glyph's outline that name the glyphs it
// is composed of.
func componentRefs(outline []byte) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		if len(outline) < 10 || outline[0] < 0x80 { // a number of contours: it is composed of none
			return
		}
		const wordArgs, scale, more, scaleXY, matrix = 1, 8, 32, 64, 128
		for at := 10; ; {
			flags := binary.BigEndian.Uint16(outline[at:])
			if !yield(outline[at+2:][:2]) || flags&more == 0 {
				return
			}
			at += 6
			if flags&wordArgs != 0 {
				at += 2
			}
			switch {
			case flags&scale != 0:
				at += 2
			case flags&scaleXY != 0:
				at += 4
			case flags&matrix != 0:
				at += 8
			}
		}
	}
}

func checksum(b []byte) (sum uint32) {
	for len(b) >= 4 {
		sum += binary.BigEndian.Uint32(b)
		b = b[4:]
	}
	var last [4]byte
	copy(last[:], b)
	return sum + binary.BigEndian.Uint32(last[:])
}
