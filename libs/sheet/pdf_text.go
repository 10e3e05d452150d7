package sheet

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-text/typesetting/bidi"
	"github.com/go-text/typesetting/font"
	"github.com/go-text/typesetting/harfbuzz"
	unicodebidi "golang.org/x/text/unicode/bidi"
	"golang.org/x/text/unicode/norm"
)

// typesetter turns text into glyphs: it finds the font of each character,
// orders what is written from right to left, and shapes the scripts whose
// letters join. Widths are in thousandths of an em.
type typesetter struct {
	chars   map[rune]*char
	faces   map[*typeface]*face
	fonts   []*pdfFont // in the order of first use
	missing int        // characters written as code points

	buffer    *harfbuzz.Buffer
	paragraph bidi.Paragraph
	units     []unit
	glyphs    []glyph
}

// face is a typeface as this document uses it.
type face struct {
	*typeface
	file   *trueType
	shaper *harfbuzz.Font
	font   *pdfFont // takes new glyphs
}

// pdfFont is a font of the document: glyphs of a typeface, each with the text
// that it stands for. A glyph that stands for different texts is there once
// for each, so that text taken from the document is what was written.
type pdfFont struct {
	number int // its name in the document is F and this number
	face   *face
	glyphs []uint16
	texts  []string
	codes  map[glyphText]uint16
}

type glyphText struct {
	glyph uint16
	text  string
}

// maxGlyphs is how many glyphs go into one font of the document: few enough
// that their components' numbers still fit into 16 bits.
const maxGlyphs = 20_000

// char is a character on its own. Without a face it is in no font.
type char struct {
	face   *face
	glyph  uint16
	width  float64
	joined bool // its glyph depends on its neighbours
	font   *pdfFont
	code   uint16
}

// glyph is a glyph on a line.
type glyph struct {
	font          *pdfFont
	code          uint16
	width         float64 // how far the font moves on
	advance, x, y float64 // how far the line moves on, and where the glyph is drawn
	cluster       int     // if more than 1, this many glyphs from here on show the text
	text          string
}

// line is a line of text, in the order in which it is read.
type line struct {
	text        string
	rightToLeft bool // direction of its paragraph
}

// unit is a piece of text that no line break divides.
type unit struct {
	start int // in bytes
	width float64
}

func newTypesetter() *typesetter {
	return &typesetter{chars: map[rune]*char{}, faces: map[*typeface]*face{}, buffer: harfbuzz.NewBuffer()}
}

func (t *typesetter) face(tf *typeface) *face {
	f := t.faces[tf]
	if f == nil {
		file := tf.load()
		f = &face{typeface: tf, file: file, shaper: harfbuzz.NewFont(font.NewFace(file.font))}
		t.faces[tf] = f
	}
	return f
}

func (t *typesetter) char(r rune) *char {
	c := t.chars[r]
	if c != nil {
		return c
	}
	c = &char{}
	t.chars[r] = c
	if unicode.IsControl(r) || reorders(r) {
		return c
	}
	for _, tf := range []*typeface{typefaceOf(r), latin} {
		f := t.face(tf)
		g, ok := f.file.font.NominalGlyph(r)
		if !ok {
			continue
		}
		c.face, c.glyph = f, uint16(g)
		c.width = f.file.width(c.glyph)
		c.joined = !f.unjoined || unicode.In(r, unicode.M, unicode.Cf)
		break
	}
	return c
}

// reorders says whether an invisible character changes the order of the text
// around it, so that it would show something other than what is written.
func reorders(r rune) bool {
	return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}

// clean is a cell's text as it is drawn: NFC, lines ended by LF, and every
// character that cannot be shown written as its code point.
func (t *typesetter) clean(cell string) string {
	if plain(cell) {
		return cell
	}
	var b strings.Builder
	b.Grow(len(cell))
	for _, r := range norm.NFC.String(strings.ReplaceAll(text(cell), "\r\n", "\n")) {
		switch {
		case r == '\n', r == '\r', r == '\u2028', r == '\u2029':
			b.WriteByte('\n')
		case r == '\t':
			b.WriteString("    ")
		case t.char(r).face == nil:
			t.missing++
			fmt.Fprintf(&b, "[U+%04X]", r)
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// plain says whether s is printable ASCII.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// joined says whether s has characters that are to be ordered or shaped.
func (t *typesetter) joined(s string) bool {
	for _, r := range s {
		if r > '~' && t.char(r).joined {
			return true
		}
	}
	return false
}

// measure divides a paragraph into units. They are valid until the next call.
func (t *typesetter) measure(para string) []unit {
	t.units = t.units[:0]
	if !t.joined(para) {
		for i, r := range para {
			t.units = append(t.units, unit{i, t.char(r).width})
		}
		return t.units
	}
	runes := []rune(para)
	widths := make([]float64, len(runes)) // of the cluster that starts here
	starts := make([]bool, len(runes))
	for _, run := range t.runs(runes, rightToLeft(para)) {
		for i, p := range t.shape(runes, run) {
			at := t.buffer.Info[i].Cluster
			starts[at] = true
			widths[at] += float64(p.XAdvance) * 1000 / run.face.file.unitsPer
		}
	}
	start := 0
	for i, r := range runes {
		if starts[i] {
			t.units = append(t.units, unit{start, widths[i]})
		}
		start += utf8.RuneLen(r)
	}
	return t.units
}

// width is that of the longest line of s.
func (t *typesetter) width(s string) (w float64) {
	for para := range strings.SplitSeq(s, "\n") {
		w = max(w, total(t.measure(para)))
	}
	return w
}

func total(units []unit) (w float64) {
	for _, u := range units {
		w += u.width
	}
	return w
}

// clip cuts s to one line of at most the given width.
func (t *typesetter) clip(s string, most float64) line {
	s = strings.ReplaceAll(s, "\n", " ")
	rtl := rightToLeft(s)
	units := t.measure(s)
	if total(units) <= most {
		return line{s, rtl}
	}
	const ellipsis = "…"
	w := t.char('…').width
	for _, u := range units {
		if w += u.width; w > most {
			return line{s[:u.start] + ellipsis, rtl}
		}
	}
	return line{s, rtl}
}

// wrap breaks s into lines of at most the given width: at line ends, at
// spaces, and inside a word that is wider than a line. No character is lost
// but the spaces at which a line is broken.
func (t *typesetter) wrap(s string, most float64) []line {
	var lines []line
	for para := range strings.SplitSeq(s, "\n") {
		rtl := rightToLeft(para)
		units := t.measure(para)
		for {
			var (
				w     float64
				space = -1 // last space on this line
				end   = len(units)
			)
			for i, u := range units {
				if w += u.width; w > most && i > 0 {
					end = i
					break
				}
				if para[u.start] == ' ' {
					space = i
				}
			}
			if end == len(units) {
				if end > 0 {
					para = para[units[0].start:]
				}
				lines = append(lines, line{para, rtl})
				break
			}
			next := end
			if para[units[end].start] == ' ' {
				space = end
			}
			if space > 0 {
				end, next = space, space
				for next < len(units) && para[units[next].start] == ' ' {
					next++
				}
			}
			lines = append(lines, line{para[units[0].start:units[end].start], rtl})
			if units = units[next:]; len(units) == 0 {
				break
			}
		}
	}
	return lines
}

// layout is the line's glyphs from left to right, valid until the next call.
func (t *typesetter) layout(l line) []glyph {
	t.glyphs = t.glyphs[:0]
	if !l.rightToLeft && !t.joined(l.text) {
		for _, r := range l.text {
			c := t.char(r)
			if c.font == nil {
				c.font, c.code = c.face.code(t, c.glyph, string(r))
			}
			t.glyphs = append(t.glyphs, glyph{font: c.font, code: c.code, width: c.width, advance: c.width})
		}
		return t.glyphs
	}
	runes := []rune(l.text)
	for _, run := range t.runs(runes, l.rightToLeft) {
		pos := t.shape(runes, run)
		scale := 1000 / run.face.file.unitsPer
		for i, text := range t.texts(runes, run) {
			unread := ""
			if run.level%2 == 1 && text != "" {
				_, size := utf8.DecodeLastRuneInString(text)
				text, unread = text[len(text)-size:], text[:len(text)-size]
			}
			g := uint16(t.buffer.Info[i].Glyph)
			font, code := run.face.code(t, g, text)
			drawn := glyph{
				font: font, code: code, width: run.face.file.width(g), advance: float64(pos[i].XAdvance) * scale,
				x: float64(pos[i].XOffset) * scale, y: float64(pos[i].YOffset) * scale,
			}
			if run.level%2 == 0 {
				drawn.cluster, drawn.text = t.cluster(runes, run, i)
			}
			t.glyphs = append(t.glyphs, drawn)
			// Readers turn text that goes from right to left around, character by
			// character: a ligature's others get blank glyphs on top of it.
			for _, r := range slices.Backward([]rune(unread)) {
				blank := run.face.blank()
				font, code := run.face.code(t, blank, string(r))
				t.glyphs = append(t.glyphs, glyph{font: font, code: code, width: run.face.file.width(blank), x: -drawn.advance / 2})
			}
		}
	}
	return t.glyphs
}

// cluster is the number of glyphs, and the text, of the cluster that starts
// with glyph i of a left-to-right run in the buffer. Both are zero if it is
// one glyph or starts elsewhere.
func (t *typesetter) cluster(runes []rune, r run, i int) (int, string) {
	info := t.buffer.Info
	if i > 0 && info[i-1].Cluster == info[i].Cluster {
		return 0, ""
	}
	n, end := 1, r.end
	for i+n < len(info) && info[i+n].Cluster == info[i].Cluster {
		n++
	}
	if n == 1 {
		return 0, ""
	}
	if i+n < len(info) {
		end = info[i+n].Cluster
	}
	return n, string(runes[info[i].Cluster:end])
}

// blank is a glyph that shows nothing.
func (f *face) blank() uint16 {
	g, _ := f.file.font.NominalGlyph(' ')
	return uint16(g)
}

// code is the number of a glyph that stands for a text in a font of the
// document.
func (f *face) code(t *typesetter, g uint16, text string) (*pdfFont, uint16) {
	if f.font == nil || len(f.font.glyphs) == maxGlyphs {
		f.font = &pdfFont{number: len(t.fonts), face: f, glyphs: []uint16{0}, texts: []string{""}, codes: map[glyphText]uint16{}}
		t.fonts = append(t.fonts, f.font)
	}
	key := glyphText{g, text}
	code, ok := f.font.codes[key]
	if !ok {
		code = uint16(len(f.font.glyphs))
		f.font.codes[key] = code
		f.font.glyphs = append(f.font.glyphs, g)
		f.font.texts = append(f.font.texts, text)
	}
	return f.font, code
}

// run is a piece of a line in one direction and one typeface.
type run struct {
	start, end int
	level      int // even: from left to right; odd: from right to left
	face       *face
}

// runs divides a line into runs, from left to right.
func (t *typesetter) runs(runes []rune, rtl bool) []run {
	direction := bidi.LeftToRight
	if rtl {
		direction = bidi.RightToLeft
	}
	levels := make([]int, len(runes))
	found := t.paragraph.Segment(runes, direction)
	for i := range found.NumRuns() {
		r := found.Run(i)
		for j := r.Start; j < r.End; j++ {
			levels[j] = int(r.Level) % 2
			if rtl && r.Level%2 == 0 {
				levels[j] = 2
			}
		}
	}
	if !rtl {
		raiseNumbers(runes, levels)
	}

	var runs []run
	for i, r := range runes {
		var f *face
		last := len(runs) - 1
		if last >= 0 && unicode.In(r, unicode.M, unicode.Cf, unicode.Zs) {
			if _, ok := runs[last].face.file.font.NominalGlyph(r); ok {
				f = runs[last].face // stays with the character it belongs to
			}
		}
		if f == nil {
			f = t.char(r).face
		}
		if last >= 0 && runs[last].face == f && runs[last].level == levels[i] {
			runs[last].end++
		} else {
			runs = append(runs, run{i, i + 1, levels[i], f})
		}
	}
	// Rule L2 of the bidirectional algorithm.
	for level := 2; level >= 1; level-- {
		for i := 0; i < len(runs); i++ {
			j := i
			for j < len(runs) && runs[j].level >= level {
				j++
			}
			for a, b := i, j-1; a < b; a, b = a+1, b-1 {
				runs[a], runs[b] = runs[b], runs[a]
			}
			i = max(i, j-1)
		}
	}
	return runs
}

// raiseNumbers tells numbers after right-to-left text (level 2) from
// left-to-right text (level 0) in a left-to-right paragraph: where the two
// meet, the bidi package gives both as one run.
func raiseNumbers(runes []rune, levels []int) {
	class := make([]unicodebidi.Class, len(runes))
	strong := unicodebidi.L
	for i, r := range runes {
		p, _ := unicodebidi.LookupRune(r)
		class[i] = p.Class()
		switch class[i] {
		case unicodebidi.L, unicodebidi.R, unicodebidi.AL:
			strong = class[i]
		case unicodebidi.AN:
			levels[i] = 2
		case unicodebidi.EN:
			if strong == unicodebidi.AL {
				class[i] = unicodebidi.AN
			}
			if strong != unicodebidi.L {
				levels[i] = 2
			}
		}
	}
	// What stands beside a number or inside it goes with it.
	raised := func(i int, c unicodebidi.Class) bool {
		return i >= 0 && i < len(levels) && levels[i] == 2 && class[i] == c
	}
	join := func(i int, c unicodebidi.Class) {
		if levels[i] == 0 {
			levels[i], class[i] = 2, c
		}
	}
	for i, c := range class {
		for _, number := range []unicodebidi.Class{unicodebidi.EN, unicodebidi.AN} {
			before, after := raised(i-1, number), raised(i+1, number)
			switch {
			case c == unicodebidi.ET && number == unicodebidi.EN && before,
				c == unicodebidi.ES && number == unicodebidi.EN && before && after,
				c == unicodebidi.CS && before && after,
				c == unicodebidi.NSM && before:
				join(i, number)
			}
		}
	}
	for i := len(class) - 1; i >= 0; i-- {
		if class[i] == unicodebidi.ET && raised(i+1, unicodebidi.EN) {
			join(i, unicodebidi.EN)
		}
	}
}

// shape leaves a run's glyphs in the buffer, from left to right, and returns
// their positions.
func (t *typesetter) shape(runes []rune, r run) []harfbuzz.GlyphPosition {
	t.buffer.Clear()
	t.buffer.AddRunes(runes, r.start, r.end-r.start)
	t.buffer.Props.Direction = harfbuzz.LeftToRight
	if r.level%2 == 1 {
		t.buffer.Props.Direction = harfbuzz.RightToLeft
	}
	t.buffer.Props.Language = "und"
	t.buffer.GuessSegmentProperties() // the script
	t.buffer.Shape(r.face.shaper, nil)
	return t.buffer.Pos
}

// texts divides a run's text among the glyphs in the buffer. The glyphs of a
// cluster take a character each in the order of reading, and the last one the
// rest; glyphs beyond the number of characters stand for nothing.
func (t *typesetter) texts(runes []rune, r run) []string {
	info := t.buffer.Info
	texts := make([]string, len(info))
	end := r.end // of the cluster
	read := func(from, to, step int) {
		for i := from; i != to; {
			cluster := info[i].Cluster
			next := i
			for next != to && info[next].Cluster == cluster {
				next += step
			}
			end = r.end
			if next != to {
				end = info[next].Cluster
			}
			for at := cluster; i != next; i += step {
				switch {
				case i+step == next:
					texts[i] = string(runes[at:end])
				case at < end:
					texts[i] = string(runes[at])
				}
				at = min(at+1, end)
			}
		}
	}
	if r.level%2 == 1 {
		read(len(info)-1, -1, -1)
	} else {
		read(0, len(info), 1)
	}
	return texts
}

// rightToLeft says whether a paragraph starts with a letter that is written
// from right to left.
func rightToLeft(s string) bool {
	for _, r := range s {
		if r < 0x0590 && unicode.IsLetter(r) {
			return false
		}
		switch p, _ := unicodebidi.LookupRune(r); p.Class() {
		case unicodebidi.L:
			return false
		case unicodebidi.R, unicodebidi.AL:
			return true
		}
	}
	return false
}
