package sheet

import (
	"cmp"
	"fmt"
	"io"
	"iter"
	"slices"
	"strconv"
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

	points = 72 / 25.4                  // in a millimetre
	em     = cellSize / points / 1000.0 // a cell's unit of width, in millimetres
)

func writePDF(w io.Writer, t Table) error {
	next, stop := iter.Pull2(t.rows())
	defer stop()

	d := &pdfTable{document: newDocument(w), typesetter: newTypesetter()}
	d.title = d.clean(t.Title)
	d.header = d.cleanRow(t.Columns)
	sample := [][]string{}
	for len(sample) < widthSample {
		row, err, ok := next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		sample = append(sample, d.cleanRow(row))
	}
	d.setWidths(sample)
	d.startPage()
	for _, row := range sample {
		if err := d.row(row); err != nil {
			return err
		}
	}
	for {
		row, err, ok := next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		if err := d.row(d.cleanRow(row)); err != nil {
			return err
		}
	}
	if err := d.note(); err != nil {
		return err
	}
	if err := d.endPage(); err != nil {
		return err
	}
	count := appendText(nil, d.layout(line{text: strconv.Itoa(len(d.pages))}), cellSize, 0, 0)
	return d.close(t.Title, pageWidth*points, pageHeight*points, d.fonts, count)
}

// pdfTable draws a table.
type pdfTable struct {
	*document
	*typesetter
	title   string
	header  []string
	widths  []float64
	y       float64 // where the next line goes
	content []byte  // of the page
}

// startPage starts a page with its title and header.
func (d *pdfTable) startPage() {
	d.content = append(d.content[:0], "0.3 w 0.63 G\n"...)
	d.y = margin
	if d.title != "" {
		d.bold(func() {
			d.text(margin, d.y+titleLine-3.5, titleSize, d.clip(d.title, (pageWidth-2*margin)/em*cellSize/titleSize))
		})
		d.y += titleLine
	}
	lines := d.wrapRow(d.header)
	for i := range lines {
		lines[i] = lines[i][:min(len(lines[i]), headerLines)]
	}
	d.lines(lines, true)
}

func (d *pdfTable) endPage() error {
	s := fmt.Sprintf("Page %d of ", len(d.pages)+1)
	// Room for the count, which is not known yet.
	x := pageWidth - margin - d.width(s+"000000")*em
	d.text(x, pageHeight-margin, cellSize, line{text: s})
	d.content = append(d.content, "q 1 0 0 1 "...)
	d.content = appendNumbers(d.content, (x+d.width(s)*em)*points, margin*points)
	d.content = append(d.content, "cm /N Do Q\n"...)
	return d.page(d.content)
}

func (d *pdfTable) newPage() error {
	if err := d.endPage(); err != nil {
		return err
	}
	d.startPage()
	return nil
}

// bold makes what draw draws bold: its outlines are drawn too. That is the
// same in every script.
func (d *pdfTable) bold(draw func()) {
	d.content = append(d.content, "q 2 Tr 0.3 w 0 G\n"...)
	draw()
	d.content = append(d.content, "Q\n"...)
}

// text draws a line of text with the start of its baseline at a point.
func (d *pdfTable) text(x, y, size float64, l line) {
	d.content = appendText(d.content, d.layout(l), size, x*points, (pageHeight-y)*points)
}

// row draws a row, on a new page if it does not fit on this one. A row taller
// than a page goes on over as many as it needs.
func (d *pdfTable) row(cells []string) error {
	lines := d.wrapRow(cells)
	if height(lines) > d.room() && height(lines) <= d.fullRoom() {
		if err := d.newPage(); err != nil {
			return err
		}
	}
	for {
		fit := d.room()
		if fit < 1 {
			if err := d.newPage(); err != nil {
				return err
			}
			fit = d.room()
		}
		part := make([][]line, len(lines))
		rest := 0
		for i, l := range lines {
			n := min(len(l), fit)
			part[i], lines[i] = l[:n], l[n:]
			rest = max(rest, len(lines[i]))
		}
		d.lines(part, false)
		if rest == 0 {
			return nil
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
	y := margin + float64(min(height(d.wrapRow(d.header)), headerLines))*cellLine + 2*cellPad
	if d.title != "" {
		y += titleLine
	}
	return int((pageHeight - margin - footer - 2*cellPad - y) / cellLine)
}

func (d *pdfTable) lines(cells [][]line, header bool) {
	h := float64(height(cells))*cellLine + 2*cellPad
	paint, style := "re S\n", func(draw func()) { draw() }
	if header {
		paint, style = "re B\n", d.bold
	}
	d.content = append(d.content, "0.91 g\n"...)
	x := margin
	for _, w := range d.widths {
		d.content = appendNumbers(d.content, x*points, (pageHeight-d.y)*points, w*points, -h*points)
		d.content = append(d.content, paint...)
		x += w
	}
	d.content = append(d.content, "0 g\n"...)
	x = margin
	style(func() {
		for i, lines := range cells {
			for n, l := range lines {
				if l.text != "" {
					d.text(x+cellPad, d.y+cellPad+float64(n)*cellLine+cellLine*0.72, cellSize, l)
				}
			}
			x += d.widths[i]
		}
	})
	d.y += h
}

// note says, below the table, what the document does not show as written.
func (d *pdfTable) note() error {
	if d.missing == 0 {
		return nil
	}
	if d.room() < 1 {
		if err := d.newPage(); err != nil {
			return err
		}
	}
	s := fmt.Sprintf("%d characters are not in this document's fonts and are shown as code points, as in [U+0001]. The other formats hold them all.", d.missing)
	d.text(margin, d.y+cellPad+cellLine*0.72, cellSize, line{text: s})
	return nil
}

// setWidths shares the page's width among the columns: each gets what its
// header and the sample ask for, as long as there is enough; columns that ask
// for more than an equal share of what is left make do with it.
func (d *pdfTable) setWidths(sample [][]string) {
	total := pageWidth - 2*margin
	wants := make([]float64, len(d.header))
	for i, h := range d.header {
		wants[i] = d.width(h)
		for _, row := range sample {
			wants[i] = max(wants[i], d.width(row[i]))
		}
		wants[i] = wants[i]*em + 2*cellPad + 0.5
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

func (d *pdfTable) wrapRow(cells []string) [][]line {
	lines := make([][]line, len(cells))
	for i, c := range cells {
		lines[i] = d.wrap(c, (d.widths[i]-2*cellPad)/em)
	}
	return lines
}

func (d *pdfTable) cleanRow(row []string) []string {
	out := make([]string, len(row))
	for i, c := range row {
		out[i] = d.clean(c)
	}
	return out
}

func height(lines [][]line) (h int) {
	for _, l := range lines {
		h = max(h, len(l))
	}
	return max(h, 1)
}
