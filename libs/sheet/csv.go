package sheet

import (
	"bufio"
	"io"
	"strings"
	"unicode/utf8"
)

func writeCSV(w io.Writer, t Table) error {
	b := bufio.NewWriterSize(w, 64<<10)
	if err := writeRecord(b, t.Columns); err != nil {
		return err
	}
	for row, err := range t.rows() {
		if err != nil {
			return err
		}
		if err := writeRecord(b, row); err != nil {
			return err
		}
	}
	return b.Flush()
}

// writeRecord is used instead of encoding/csv because that one rewrites line
// ends inside a cell and writes a single empty cell as an empty line, which
// readers skip.
func writeRecord(b *bufio.Writer, record []string) error {
	for i, cell := range record {
		if i > 0 {
			b.WriteByte(',')
		}
		cell = inert(text(cell))
		if cell == "" && len(record) > 1 || cell != "" && !strings.ContainsAny(cell, "\",;\r\n\t") && strings.TrimSpace(cell) == cell {
			b.WriteString(cell)
			continue
		}
		b.WriteByte('"')
		b.WriteString(strings.ReplaceAll(cell, `"`, `""`))
		b.WriteByte('"')
	}
	_, err := b.WriteString("\r\n") // bufio keeps the first error
	return err
}

// inert makes a cell that a spreadsheet could take for a formula plain text.
// Full-width signs count: some programs fold them to their ASCII forms.
func inert(cell string) string {
	if r, _ := utf8.DecodeRuneInString(cell); cell != "" && strings.ContainsRune("=+-@\t\r\n＝＋－＠", r) {
		return "'" + cell
	}
	return cell
}
