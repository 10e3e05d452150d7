package sheet

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"
)

// What a worksheet can hold.
const (
	xlsxRows      = excelize.TotalRows
	xlsxCellChars = excelize.TotalCellChars
	xlsxNameChars = excelize.MaxSheetNameLength
)

func writeXLSX(w io.Writer, t Table) error { return writeWorkbook(w, t, xlsxRows) }

// writeWorkbook begins a new worksheet whenever one has perSheet rows, its
// header included.
func writeWorkbook(w io.Writer, t Table, perSheet int) error {
	if len(t.Columns) > excelize.MaxColumns {
		return fmt.Errorf("%d columns, a worksheet holds %d", len(t.Columns), excelize.MaxColumns)
	}
	f := excelize.NewFile()
	defer f.Close() // removes temporary files

	bold, err := f.NewStyle(&excelize.Style{Font: &excelize.Font{Bold: true}})
	if err != nil {
		return fmt.Errorf("header style: %w", err)
	}
	var (
		sw     *excelize.StreamWriter
		sheets int
		used   int // rows of the current worksheet
		cells  = make([]any, len(t.Columns))
	)
	next := func() error {
		if sw != nil {
			if err := sw.Flush(); err != nil {
				return fmt.Errorf("flush worksheet: %w", err)
			}
		}
		sheets++
		name := sheetName(t.Title, sheets)
		if sheets == 1 {
			if err := f.SetSheetName(f.GetSheetName(0), name); err != nil {
				return fmt.Errorf("name worksheet: %w", err)
			}
		} else if _, err := f.NewSheet(name); err != nil {
			return fmt.Errorf("add worksheet: %w", err)
		}
		var err error
		if sw, err = f.NewStreamWriter(name); err != nil {
			return fmt.Errorf("open worksheet: %w", err)
		}
		if err := sw.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"}); err != nil {
			return fmt.Errorf("freeze header: %w", err)
		}
		if err := sw.SetColWidth(1, len(t.Columns), 24); err != nil {
			return fmt.Errorf("set column width: %w", err)
		}
		for i, c := range t.Columns {
			cells[i] = excelize.Cell{StyleID: bold, Value: cellText(c)}
		}
		used = 1
		return sw.SetRow("A1", cells)
	}
	if err := next(); err != nil {
		return err
	}
	for row, err := range t.rows() {
		if err != nil {
			return err
		}
		if used == perSheet {
			if err := next(); err != nil {
				return err
			}
		}
		for i, cell := range row {
			cells[i] = cellText(cell) // a string is stored as one, whatever it starts with
		}
		used++
		if err := sw.SetRow(fmt.Sprintf("A%d", used), cells); err != nil {
			return fmt.Errorf("set row: %w", err)
		}
	}
	if err := sw.Flush(); err != nil {
		return fmt.Errorf("flush worksheet: %w", err)
	}
	return f.Write(w)
}

// cellText cuts what a cell cannot hold, visibly. The limit counts UTF-16
// code units.
func cellText(cell string) string {
	cell = text(cell)
	if len(cell) <= xlsxCellChars {
		return cell
	}
	units, end := 0, 0
	for i, r := range cell {
		units += utf16.RuneLen(r)
		if units > xlsxCellChars {
			return cell[:end] + "…"
		}
		if units < xlsxCellChars {
			end = i + utf8.RuneLen(r)
		}
	}
	return cell
}

// sheetName makes a name that a worksheet may have.
func sheetName(title string, n int) string {
	name := strings.Map(func(r rune) rune {
		if strings.ContainsRune(`[]:*?/\'`, r) || r < ' ' {
			return ' '
		}
		return r
	}, text(title))
	name = strings.Join(strings.Fields(name), " ")
	if name == "" || strings.EqualFold(name, "history") { // reserved
		name = "Table"
	}
	suffix := ""
	if n > 1 {
		suffix = fmt.Sprintf(" (%d)", n)
	}
	units := len(suffix)
	for i, r := range name {
		if units += utf16.RuneLen(r); units > xlsxNameChars {
			name = strings.TrimSpace(name[:i])
			break
		}
	}
	return name + suffix
}
