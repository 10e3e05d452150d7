package sheet

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

// Format is a form in which a table can be written.
type Format int

// The formats. The zero Format is none of them.
const (
	CSV Format = iota + 1
	XLSX
	PDF
	JSON
)

// Formats lists every format.
func Formats() []Format { return []Format{CSV, XLSX, PDF, JSON} }

// ParseFormat reads the lower- or upper-case name of a format: csv, xlsx, pdf
// or json.
func ParseFormat(s string) (Format, error) {
	for _, f := range Formats() {
		if strings.EqualFold(s, f.String()) {
			return f, nil
		}
	}
	return 0, fmt.Errorf("unknown format %q: want csv, xlsx, pdf or json", s)
}

// String returns the format's name, which is also the extension of its files.
func (f Format) String() string {
	switch f {
	case CSV:
		return "csv"
	case XLSX:
		return "xlsx"
	case PDF:
		return "pdf"
	case JSON:
		return "json"
	}
	return fmt.Sprintf("Format(%d)", int(f))
}

// ContentType returns the media type of the format's files.
func (f Format) ContentType() string {
	switch f {
	case CSV:
		return "text/csv; charset=utf-8; header=present"
	case XLSX:
		return "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
	case PDF:
		return "application/pdf"
	case JSON:
		return "application/json"
	}
	return "application/octet-stream"
}

// Table is what is written.
type Table struct {
	// Title heads a PDF's pages and names an XLSX's worksheet. CSV and JSON
	// have no place for it.
	Title string
	// Columns are the names of the columns: at least one, no two equal.
	Columns []string
	// Rows yields the rows, each with one cell per column, or an error that
	// ends the writing. It is read once. A row's slice may be used again for
	// the next row.
	Rows iter.Seq2[[]string, error]
}

// Rows makes a table's rows of what is in memory.
func Rows(rows ...[]string) iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		for _, r := range rows {
			if !yield(r, nil) {
				return
			}
		}
	}
}

// Write writes t to w. On an error, its own or one the rows yielded (wrapped),
// what w holds is incomplete and must not be taken for the table: over HTTP
// the caller breaks the connection.
func Write(w io.Writer, f Format, t Table) error {
	if err := t.check(); err != nil {
		return fmt.Errorf("write %s: %w", f, err)
	}
	write := map[Format]func(io.Writer, Table) error{CSV: writeCSV, XLSX: writeXLSX, PDF: writePDF, JSON: writeJSON}[f]
	if write == nil {
		return fmt.Errorf("write %s: unknown format", f)
	}
	if err := write(w, t); err != nil {
		return fmt.Errorf("write %s: %w", f, err)
	}
	return nil
}

func (t Table) check() error {
	if len(t.Columns) == 0 {
		return errors.New("table has no columns")
	}
	if t.Rows == nil {
		return errors.New("table has no rows iterator")
	}
	seen := make(map[string]bool, len(t.Columns))
	for _, c := range t.Columns {
		if seen[c] {
			return fmt.Errorf("table has two columns %q", c)
		}
		seen[c] = true
	}
	return nil
}

// rows yields the table's rows with the checks every format needs. After an
// error it yields nothing more.
func (t Table) rows() iter.Seq2[[]string, error] {
	return func(yield func([]string, error) bool) {
		n := 0
		for row, err := range t.Rows {
			n++
			if err == nil && len(row) != len(t.Columns) {
				err = fmt.Errorf("row has %d cells, want %d", len(row), len(t.Columns))
			}
			if err != nil {
				yield(nil, fmt.Errorf("row %d: %w", n, err))
				return
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// text is a cell as valid UTF-8.
func text(cell string) string { return strings.ToValidUTF8(cell, "\uFFFD") }
