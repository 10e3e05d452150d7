package sheet

import (
	"bufio"
	"encoding/json"
	"io"
)

func writeJSON(w io.Writer, t Table) error {
	b := bufio.NewWriterSize(w, 64<<10)
	keys := make([][]byte, len(t.Columns))
	for i, c := range t.Columns {
		key, err := json.Marshal(text(c))
		if err != nil {
			return err
		}
		keys[i] = append(key, ':')
	}
	b.WriteByte('[')
	first := true
	for row, err := range t.rows() {
		if err != nil {
			return err
		}
		if !first {
			b.WriteByte(',')
		}
		first = false
		b.WriteByte('\n')
		for i, cell := range row {
			b.WriteByte("{,"[min(i, 1)])
			b.Write(keys[i])
			value, err := json.Marshal(text(cell))
			if err != nil {
				return err
			}
			b.Write(value)
		}
		if err := b.WriteByte('}'); err != nil {
			return err
		}
	}
	b.WriteString("\n]\n")
	return b.Flush()
}
