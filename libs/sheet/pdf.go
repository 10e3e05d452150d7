package sheet

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"unicode"

	"github.com/go-pdf/fpdf"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/unicode/norm"
)

// Measures of a page (A4, landscape), in millimetres, and of its fonts, in
// points.
const (
	pageWidth, pageHeight = 297.0, 210.0
	margin                = 10.0
	titleSize, titleLine  = 11.0, 8.0
	cellSize, cellLine    = 8.0, 4.0
	cellPad               = 1.0
	footer                = 6.0
	widthSample           = 200 // rows that decide how wide the columns are
	headerLines           = 12  // a taller header would leave no room for rows
)

// pageCount stands for the number of pages until it is known. Text that comes
// from a table has no control characters and so cannot hold it.
const pageCount = "\x01n\x01"

func writePDF(w io.Writer, t Table) error {
	next, stop := iter.Pull2(t.rows())
	defer stop()

	d := newPDF()
	d.title = d.latin(t.Title)
	for _, c := range t.Columns {
		d.header = append(d.header, d.latin(c))
	}
	sample := [][]string{}
	for len(sample) < widthSample {
		row, err, ok := next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		sample = append(sample, d.latinRow(row))
	}
	d.setWidths(sample)
	d.pdf.AddPage()
	for _, row := range sample {
		d.row(row)
	}
	for {
		row, err, ok := next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		d.row(d.latinRow(row))
	}
	d.note()
	return d.pdf.Output(w)
}

// pdfTable draws a table. All its text is cp1252, one byte per character.
type pdfTable struct {
	pdf           *fpdf.Fpdf
	regular, bold [256]float64 // width of each character
	title         string
	header        []string
	widths        []float64
	y             float64 // where the next line goes
	altered       int     // characters that could not be shown as written
}

func newPDF() *pdfTable {
	d := &pdfTable{pdf: fpdf.New("L", "mm", "A4", "")}
	d.pdf.SetMargins(margin, margin, margin)
	d.pdf.SetAutoPageBreak(false, 0)
	d.pdf.AliasNbPages(pageCount)
	d.pdf.SetLineWidth(0.1)
	d.pdf.SetDrawColor(160, 160, 160)
	d.pdf.SetFillColor(232, 232, 232)
	measure := func(style string) (widths [256]float64) {
		d.pdf.SetFont("Helvetica", style, cellSize)
		for c := range widths {
			widths[c] = d.pdf.GetStringWidth(string([]byte{byte(c)}))
		}
		return widths
	}
	d.bold, d.regular = measure("B"), measure("")
	d.pdf.SetHeaderFunc(d.pageHeader)
	d.pdf.SetFooterFunc(d.pageFooter)
	return d
}

func (d *pdfTable) pageHeader() {
	d.y = margin
	if d.title != "" {
		d.pdf.SetFont("Helvetica", "B", titleSize)
		d.pdf.Text(margin, d.y+titleLine-3.5, clip(d.title, d.bold, (pageWidth-2*margin)*cellSize/titleSize))
		d.y += titleLine
	}
	d.pdf.SetFont("Helvetica", "B", cellSize)
	lines := d.wrapRow(d.header, d.bold)
	for i := range lines {
		lines[i] = lines[i][:min(len(lines[i]), headerLines)]
	}
	d.lines(lines, true)
	d.pdf.SetFont("Helvetica", "", cellSize)
}

func (d *pdfTable) pageFooter() {
	s := fmt.Sprintf("Page %d of ", d.pdf.PageNo())
	d.pdf.SetFont("Helvetica", "", cellSize)
	// Room for the count, whose width is not known yet.
	x := pageWidth - margin - width(s+"000000", d.regular)
	d.pdf.Text(x, pageHeight-margin, s+pageCount)
}

// row draws a row, on a new page if it does not fit on this one. A row taller
// than a page goes on over as many as it needs.
func (d *pdfTable) row(cells []string) {
	lines := d.wrapRow(cells, d.regular)
	if height(lines) > d.room() && height(lines) <= d.fullRoom() {
		d.pdf.AddPage()
	}
	for {
		fit := d.room()
		if fit < 1 {
			d.pdf.AddPage()
			fit = d.room()
		}
		part := make([][]string, len(lines))
		rest := 0
		for i, l := range lines {
			n := min(len(l), fit)
			part[i], lines[i] = l[:n], l[n:]
			rest = max(rest, len(lines[i]))
		}
		d.lines(part, false)
		if rest == 0 {
			return
		}
	}
}

// room is the number of lines that still fit on the page.
func (d *pdfTable) room() int {
	return int((pageHeight - margin - footer - 2*cellPad - d.y) / cellLine)
}

// fullRoom is the number of lines that fit on a page with nothing but the
// header, which is drawn with its padding.
func (d *pdfTable) fullRoom() int {
	y := margin + float64(min(height(d.wrapRow(d.header, d.bold)), headerLines))*cellLine + 2*cellPad
	if d.title != "" {
		y += titleLine
	}
	return int((pageHeight - margin - footer - 2*cellPad - y) / cellLine)
}

func (d *pdfTable) lines(cells [][]string, filled bool) {
	h := float64(height(cells))*cellLine + 2*cellPad
	style := "D"
	if filled {
		style = "FD"
	}
	x := margin
	for i, lines := range cells {
		d.pdf.Rect(x, d.y, d.widths[i], h, style)
		for n, line := range lines {
			if line != "" {
				d.pdf.Text(x+cellPad, d.y+cellPad+float64(n)*cellLine+cellLine*0.72, line)
			}
		}
		x += d.widths[i]
	}
	d.y += h
}

// note says, below the table, what the document does not show as written.
func (d *pdfTable) note() {
	if d.altered == 0 {
		return
	}
	text := fmt.Sprintf("%d characters are not in this document's fonts and are shown without accents or as \"?\". The other formats hold them all.", d.altered)
	if d.room() < 1 {
		d.pdf.AddPage()
	}
	d.pdf.SetFont("Helvetica", "", cellSize)
	d.pdf.Text(margin, d.y+cellPad+cellLine*0.72, text)
}

// setWidths shares the page's width among the columns: each gets what its
// header and the sample ask for, as long as there is enough; columns that ask
// for more than an equal share of what is left make do with it.
func (d *pdfTable) setWidths(sample [][]string) {
	total := pageWidth - 2*margin
	wants := make([]float64, len(d.header))
	for i, h := range d.header {
		wants[i] = width(h, d.bold)
		for _, row := range sample {
			for line := range strings.SplitSeq(row[i], "\n") {
				wants[i] = max(wants[i], width(line, d.regular))
			}
		}
		wants[i] += 2*cellPad + 0.5
	}
	d.widths = make([]float64, len(wants))
	order := make([]int, len(wants))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(wants[a], wants[b]) })
	left := total
	for n, i := range order {
		d.widths[i] = min(wants[i], left/float64(len(order)-n))
		left -= d.widths[i]
	}
	// What nobody asked for is spread, so that every table is as wide as the
	// page.
	for i := range d.widths {
		d.widths[i] += left * d.widths[i] / (total - left)
	}
}

func (d *pdfTable) wrapRow(cells []string, widths [256]float64) [][]string {
	lines := make([][]string, len(cells))
	for i, c := range cells {
		lines[i] = wrap(c, widths, d.widths[i]-2*cellPad)
	}
	return lines
}

func (d *pdfTable) latinRow(row []string) []string {
	out := make([]string, len(row))
	for i, c := range row {
		out[i] = d.latin(c)
	}
	return out
}

// latin turns UTF-8 into cp1252, which is what the built-in fonts have glyphs
// for.
func (d *pdfTable) latin(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	s = strings.ReplaceAll(s, "\r\n", "\n")
	for _, r := range norm.NFC.String(text(s)) {
		switch {
		case r == '\n', r >= ' ' && r < 0x7f:
			b.WriteByte(byte(r))
			continue
		case r == '\r', r == '\u2028', r == '\u2029':
			b.WriteByte('\n')
			continue
		case r == '\t':
			b.WriteString("    ")
			continue
		}
		if c, ok := charmap.Windows1252.EncodeRune(r); ok && !unicode.IsControl(r) {
			b.WriteByte(c)
			continue
		}
		d.altered++
		b.WriteString(plain(r))
	}
	return b.String()
}

// plain is a character that the fonts do not have, without its accents, or "?".
func plain(r rune) string {
	var out []byte
	for _, p := range norm.NFKD.String(string(r)) {
		if unicode.Is(unicode.Mn, p) {
			continue
		}
		c, ok := charmap.Windows1252.EncodeRune(p)
		if !ok || unicode.IsControl(p) {
			return "?"
		}
		out = append(out, c)
	}
	if len(out) == 0 {
		return "?"
	}
	return string(out)
}

func width(s string, widths [256]float64) (w float64) {
	for i := range len(s) {
		w += widths[s[i]]
	}
	return w
}

// clip cuts s to one line of at most the given width.
func clip(s string, widths [256]float64, most float64) string {
	s = strings.ReplaceAll(s, "\n", " ")
	if width(s, widths) <= most {
		return s
	}
	const ellipsis = "\x85" // cp1252
	for s != "" && width(s+ellipsis, widths) > most {
		s = s[:len(s)-1]
	}
	return s + ellipsis
}

// wrap breaks s into lines of at most the given width: at line ends, at
// spaces, and inside a word that is wider than a line. No character is lost
// but the spaces at which a line is broken.
func wrap(s string, widths [256]float64, most float64) []string {
	var lines []string
	for para := range strings.SplitSeq(s, "\n") {
		for {
			var (
				w     float64
				space = -1 // last space on this line
				end   = len(para)
			)
			for i := range len(para) {
				if w += widths[para[i]]; w > most && i > 0 {
					end = i
					break
				}
				if para[i] == ' ' {
					space = i
				}
			}
			if end == len(para) {
				lines = append(lines, para)
				break
			}
			if para[end] == ' ' {
				space = end
			}
			if space > 0 {
				lines = append(lines, para[:space])
				para = strings.TrimLeft(para[space:], " ")
			} else {
				lines = append(lines, para[:end])
				para = para[end:]
			}
			if para == "" {
				break
			}
		}
	}
	return lines
}

func height(lines [][]string) (h int) {
	for _, l := range lines {
		h = max(h, len(l))
	}
	return max(h, 1)
}
