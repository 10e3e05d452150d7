package sheet_test

import (
	"bytes"
	"compress/zlib"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/xuri/excelize/v2"
	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"gatehouse.dev/libs/sheet"
	"gatehouse.dev/libs/sheet/sheettest"
)

var (
	columns = []string{"person", "app", "note"}
	rows    = [][]string{
		{"Zoë Müller", "Billing, old", "says \"yes\"\r\nand more"},
		{"", "", ""},
		{"李雷", "Łódź €", " padded "},
		{"O'Neil; & <b>", "a\rb", "c\td"},
	}
)

func write(t testing.TB, f sheet.Format, tab sheet.Table) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := sheet.Write(&b, f, tab); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestFormats(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, f := range sheet.Formats() {
		if got, err := sheet.ParseFormat(strings.ToUpper(f.String())); err != nil || got != f {
			t.Errorf("ParseFormat(%v) = %v, %v", f, got, err)
		}
		if c := f.ContentType(); c == "" || seen[c] {
			t.Errorf("%v: content type %q is empty or another format's", f, c)
		} else {
			seen[c] = true
		}
	}
	for _, s := range []string{"", "doc", "csv "} {
		if f, err := sheet.ParseFormat(s); err == nil {
			t.Errorf("ParseFormat(%q) = %v, want an error", s, f)
		}
	}
}

func TestCSV(t *testing.T) {
	t.Parallel()
	out := write(t, sheet.CSV, sheet.Table{Columns: columns, Rows: sheet.Rows(rows...)})
	got, err := csv.NewReader(bytes.NewReader(out)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	want := append([][]string{columns}, rows...)
	want[1] = []string{"Zoë Müller", "Billing, old", "says \"yes\"\nand more"} // the reader folds CRLF
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if n := strings.Count(string(out), "\r\n"); n != len(rows)+2 { // header, and one inside a cell
		t.Errorf("%d line ends CRLF, want %d", n, len(rows)+2)
	}
	if !strings.Contains(string(out), "\"a\rb\"") {
		t.Error("a CR inside a cell was changed")
	}
	one := write(t, sheet.CSV, sheet.Table{Columns: []string{"a"}, Rows: sheet.Rows([]string{""}, []string{"x"})})
	if got, want := string(one), "a\r\n\"\"\r\nx\r\n"; got != want {
		t.Errorf("one empty cell = %q, want %q", got, want)
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	for name, rows := range map[string][][]string{"none": {}, "some": rows} {
		out := write(t, sheet.JSON, sheet.Table{Columns: columns, Rows: sheet.Rows(rows...)})
		var got []map[string]string
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
		want := []map[string]string{}
		for _, r := range rows {
			want = append(want, map[string]string{"person": r[0], "app": r[1], "note": r[2]})
		}
		if d := cmp.Diff(want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
		if len(rows) > 0 && !regexp.MustCompile(`^\[\n\{"person":".*","app":".*","note":".*"\},\n`).Match(out) {
			t.Errorf("keys are not in the order of the columns:\n%s", out)
		}
	}
}

func openXLSX(t testing.TB, b []byte) *excelize.File {
	t.Helper()
	f, err := excelize.OpenReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestXLSX(t *testing.T) {
	t.Parallel()
	out := write(t, sheet.XLSX, sheet.Table{Title: "Open: items / [all]", Columns: columns, Rows: sheet.Rows(rows...)})
	f := openXLSX(t, out)
	if d := cmp.Diff([]string{"Open items all"}, f.GetSheetList()); d != "" {
		t.Error(d)
	}
	for i, row := range append([][]string{columns}, rows...) {
		for j, want := range row {
			cell, _ := excelize.CoordinatesToCellName(j+1, i+1)
			got, err := f.GetCellValue("Open items all", cell)
			// XML turns line ends into LF when it is read.
			want = strings.ReplaceAll(want, "\r\n", "\n")
			if err != nil || strings.ReplaceAll(got, "\r\n", "\n") != want {
				t.Errorf("%s = %q, %v, want %q", cell, got, err, want)
			}
		}
	}
}

func TestXLSXLimits(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("ä𝄞", 15_000) // 45,000 UTF-16 units
	exact := strings.Repeat("x", excelize.TotalCellChars)
	var b bytes.Buffer
	tab := sheet.Table{
		Title:   strings.Repeat("𝄞 long title ", 5),
		Columns: []string{"n"},
		Rows:    sheet.Rows([]string{"1"}, []string{"2"}, []string{"3"}, []string{long}, []string{exact}),
	}
	if err := sheet.WriteWorkbook(&b, tab, 3); err != nil {
		t.Fatal(err)
	}
	f := openXLSX(t, b.Bytes())
	names := f.GetSheetList()
	if len(names) != 3 {
		t.Fatalf("worksheets %q, want 3", names)
	}
	var got []string
	for _, name := range names {
		rows, err := f.GetRows(name)
		if err != nil {
			t.Fatal(err)
		}
		if rows[0][0] != "n" {
			t.Errorf("worksheet %q has no header", name)
		}
		for _, r := range rows[1:] {
			got = append(got, r[0])
		}
	}
	if d := cmp.Diff([]string{"1", "2", "3"}, got[:3]); d != "" {
		t.Error(d)
	}
	if cut := got[3]; !strings.HasSuffix(cut, "…") || !strings.HasPrefix(long, strings.TrimSuffix(cut, "…")) || len(cut) < 60_000 {
		t.Errorf("a text too long for a cell became %d bytes ending in %q", len(cut), cut[len(cut)-6:])
	}
	if got[4] != exact {
		t.Errorf("a text that just fits became %d bytes", len(got[4]))
	}
}

// Cells that spreadsheets would run.
var formulas = []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", `=cmd|' /C calc'!A0`, `=HYPERLINK("http://x")`}

func TestFormulasAreInert(t *testing.T) {
	t.Parallel()
	var rows [][]string
	for _, c := range formulas {
		rows = append(rows, []string{c, "plain"})
	}
	tab := sheet.Table{Columns: []string{"=head", "b"}, Rows: sheet.Rows(rows...)}

	got, err := csv.NewReader(bytes.NewReader(write(t, sheet.CSV, tab))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range append([]string{"=head"}, formulas...) {
		if got[i][0] != "'"+want {
			t.Errorf("CSV cell %q, want an apostrophe before %q", got[i][0], want)
		}
	}

	f := openXLSX(t, write(t, sheet.XLSX, tab))
	for i, want := range append([]string{"=head"}, formulas...) {
		cell := fmt.Sprintf("A%d", i+1)
		formula, err := f.GetCellFormula("Table", cell)
		if err != nil || formula != "" {
			t.Errorf("XLSX cell %s has formula %q, %v", cell, formula, err)
		}
		kind, err := f.GetCellType("Table", cell)
		if err != nil || kind != excelize.CellTypeInlineString && kind != excelize.CellTypeSharedString {
			t.Errorf("XLSX cell %s has type %v, %v, want a string", cell, kind, err)
		}
		if v, _ := f.GetCellValue("Table", cell); v != want {
			t.Errorf("XLSX cell %s = %q, want %q", cell, v, want)
		}
	}
}

func TestPDF(t *testing.T) {
	t.Parallel()
	out := write(t, sheet.PDF, sheet.Table{Title: "Audit trail – Zoë", Columns: columns, Rows: sheet.Rows(
		[]string{"Zoë Müller", "Billing (old) \\ €", "x\x01n\x01y"},
		[]string{"Łukasz Čapek", "李雷", "e\u0301te\u0301"},
		[]string{"😀", "a\u202eb", "\xff"},
	)})
	pages := sheettest.PDFPages(t, out)
	if len(pages) != 1 {
		t.Fatalf("%d pages, want 1", len(pages))
	}
	for _, want := range []string{
		"Audit trail – Zoë", "person", "app", "note", "Zoë Müller", `Billing (old) \ €`,
		"x[U+0001]n[U+0001]y", "Łukasz Čapek", "李雷", "été", "[U+1F600]", "a[U+202E]b", "\uFFFD", "Page 1 of 1",
	} {
		if !slices.Contains(pages[0], want) {
			t.Errorf("no text %q in %q", want, pages[0])
		}
	}
	if last := strings.Join(pages[0], "\n"); !strings.Contains(last, "4 characters are not in this document's fonts") {
		t.Errorf("the characters that changed are not counted: %s", last)
	}
}

// A name in any of these scripts is in the PDF, as title, header and cell, and
// can be found there.
func TestPDFScripts(t *testing.T) {
	t.Parallel()
	names := map[string]string{
		"Polish": "Łukasz Żółć", "Vietnamese": "Nguyễn Thị Ánh", "Greek": "Ελένη", "Cyrillic": "Дмитрий Шостакович",
		"Chinese": "王小明", "Japanese": "山田太郎 たろう タロウ", "Korean": "김민수",
		"Devanagari": "प्रिया", "Bengali": "বাংলা কো", "Gurmukhi": "ਗੁਰਪ੍ਰੀਤ", "Gujarati": "ગુજરાતી", "Oriya": "ଓଡ଼ିଆ", "Tamil": "கொடி",
		"Telugu": "తెలుగు", "Kannada": "ಕನ್ನಡ", "Malayalam": "മലയാളം", "Sinhala": "ශ්\u200dරී", "Thai": "สมชาย น้ำผึ้ง", "Lao": "ລາວ",
		"Myanmar": "မြန်မာ", "Khmer": "ភាសាខ្មែរ", "Ethiopic": "አበበ", "Armenian": "Հայկ", "Georgian": "გიორგი", "symbols": "→ ★ ①",
		"Arabic": "محمد", "Arabic ligature": "الإسلام", "Hebrew": "שרה", "Thaana": "ދިވެހި",
	}
	for script, name := range names {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			pages := sheettest.PDFPages(t, write(t, sheet.PDF, sheet.Table{Title: name, Columns: []string{name}, Rows: sheet.Rows([]string{name})}))
			want := norm.NFC.String(name)
			if slices.Contains([]string{"Arabic", "Arabic ligature", "Hebrew", "Thaana"}, script) {
				runes := []rune(want)
				slices.Reverse(runes)
				want = string(runes)
			}
			if d := cmp.Diff([]string{want, want, want, "Page 1 of 1"}, pages[0]); d != "" {
				t.Error(d)
			}
		})
	}
}

// Right-to-left text is ordered as Unicode says, in the paragraph's direction.
func TestPDFDirections(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, text, want string }{
		{"name in a sentence", "by שרה for 12", "by הרש for 12"},
		{"number after a name", "abc שרה 12 def", "abc 12 הרש def"},
		{"list of numbers", "a שרה 1,2 - 3% b", "a 3% - 1,2 הרש b"},
		{"Arabic digits before a name", "abc ١٢ عمر", "abc رمع ١٢"},
		{"brackets", "Bob (שרה) x", "Bob (הרש) x"},
		{"sentence in Hebrew", "שרה and 34, שרה 5", "5 הרש ,and 34 הרש"},
		{"brackets in Arabic", "عمر (IT) abc", "abc (IT) رمع"},
	}
	for _, tt := range tests {
		pages := sheettest.PDFPages(t, write(t, sheet.PDF, sheet.Table{Columns: []string{"a"}, Rows: sheet.Rows([]string{tt.text})}))
		// A bracket in right-to-left text is mirrored where it is drawn and
		// stands for the character as written.
		got := strings.NewReplacer(")IT(", "(IT)").Replace(pages[0][1])
		if got != tt.want {
			t.Errorf("%s: %q is drawn as %q, want %q", tt.name, tt.text, got, tt.want)
		}
	}
}

// Arabic letters join: the same letter has another glyph at the start of a
// word than inside it.
func TestPDFJoinsLetters(t *testing.T) {
	t.Parallel()
	out := write(t, sheet.PDF, sheet.Table{Columns: []string{"a"}, Rows: sheet.Rows([]string{"ببب"})})
	forms := 0
	for _, m := range regexp.MustCompile(`(?s)stream\n(.*?)\nendstream`).FindAllSubmatch(out, -1) {
		if z, err := zlib.NewReader(bytes.NewReader(m[1])); err == nil {
			content, _ := io.ReadAll(z)
			forms += bytes.Count(content, []byte("> <0628>")) // U+0628, ب
		}
	}
	if forms != 3 {
		t.Errorf("three joined letters have %d forms, want first, middle and last", forms)
	}
}

// A PDF has the glyphs it shows, not whole fonts.
func TestPDFIsSmall(t *testing.T) {
	t.Parallel()
	for text, most := range map[string]int{"Alice": 12 << 10, "山田太郎 김민수": 20 << 10} {
		if n := len(write(t, sheet.PDF, sheet.Table{Title: "Trail", Columns: columns, Rows: sheet.Rows([]string{text, "Jira", ""})})); n > most {
			t.Errorf("a PDF of %q has %d bytes, want at most %d", text, n, most)
		}
	}
}

func TestPDFPages(t *testing.T) {
	t.Parallel()
	var rows [][]string
	for i := range 300 {
		rows = append(rows, []string{fmt.Sprintf("row-%d", i), "app", "note"})
	}
	pages := sheettest.PDFPages(t, write(t, sheet.PDF, sheet.Table{Title: "Many", Columns: columns, Rows: sheet.Rows(rows...)}))
	if len(pages) < 5 {
		t.Fatalf("%d pages for 300 rows", len(pages))
	}
	var got []string
	for i, page := range pages {
		if d := cmp.Diff(append([]string{"Many"}, columns...), page[:4]); d != "" {
			t.Errorf("page %d does not start with the header: %s", i+1, d)
		}
		if want := fmt.Sprintf("Page %d of %d", i+1, len(pages)); !slices.Contains(page, want) {
			t.Errorf("page %d lacks %q", i+1, want)
		}
		for _, s := range page {
			if strings.HasPrefix(s, "row-") {
				got = append(got, s)
			}
		}
	}
	for i, s := range got {
		if s != rows[i][0] {
			t.Fatalf("row %d is %q", i, s)
		}
	}
	if len(got) != len(rows) {
		t.Errorf("%d rows, want %d", len(got), len(rows))
	}

	empty := sheettest.PDFPages(t, write(t, sheet.PDF, sheet.Table{Columns: columns, Rows: sheet.Rows()}))
	if len(empty) != 1 || !slices.Contains(empty[0], "person") {
		t.Errorf("an empty table became %q", empty)
	}
}

// Long text is wrapped, over several pages if need be, and nothing is lost.
func TestPDFWraps(t *testing.T) {
	t.Parallel()
	words := strings.TrimSpace(strings.Repeat("lorem ipsum dolor ", 2_000))
	solid := strings.Repeat("0123456789", 500)
	pages := sheettest.PDFPages(t, write(t, sheet.PDF, sheet.Table{
		Columns: []string{"a", "b"},
		Rows:    sheet.Rows([]string{words, solid}, []string{"after", "after"}),
	}))
	if len(pages) < 2 {
		t.Errorf("%d pages, want several", len(pages))
	}
	all := strings.Join(slices.Concat(pages...), " ")
	for _, w := range []string{"lorem", "ipsum", "dolor"} {
		if n := strings.Count(all, w); n != 2_000 {
			t.Errorf("%q is there %d times, want 2000", w, n)
		}
	}
	digits := regexp.MustCompile(`[^0-9]`).ReplaceAllString(regexp.MustCompile(`Page \d+ of \d+`).ReplaceAllString(all, ""), "")
	if digits != solid {
		t.Errorf("a word of %d characters became %d", len(solid), len(digits))
	}
	if n := strings.Count(all, "after"); n != 2 {
		t.Errorf("the next row is there %d times", n)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	broken := errors.New("cursor lost")
	failing := func(yield func([]string, error) bool) {
		_ = yield([]string{"1"}, nil) && yield(nil, broken)
	}
	tests := []struct {
		name string
		tab  sheet.Table
		want string
	}{
		{"no columns", sheet.Table{Rows: sheet.Rows()}, "no columns"},
		{"no rows iterator", sheet.Table{Columns: []string{"a"}}, "no rows iterator"},
		{"equal columns", sheet.Table{Columns: []string{"a", "a"}, Rows: sheet.Rows()}, `two columns "a"`},
		{"short row", sheet.Table{Columns: []string{"a", "b"}, Rows: sheet.Rows([]string{"1", "2"}, []string{"3"})}, "row 2: row has 1 cells, want 2"},
		{"rows fail", sheet.Table{Columns: []string{"a"}, Rows: failing}, "row 2: cursor lost"},
	}
	for _, tt := range tests {
		for _, f := range sheet.Formats() {
			err := sheet.Write(io.Discard, f, tt.tab)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%s, %v: err = %v, want %q", tt.name, f, err, tt.want)
			}
		}
	}
	for _, f := range sheet.Formats() {
		if err := sheet.Write(io.Discard, f, sheet.Table{Columns: []string{"a"}, Rows: failing}); !errors.Is(err, broken) {
			t.Errorf("%v: the rows' error is not wrapped: %v", f, err)
		}
		if err := sheet.Write(full{}, f, sheet.Table{Columns: []string{"a"}, Rows: sheet.Rows([]string{"1"})}); !errors.Is(err, errFull) {
			t.Errorf("%v: the writer's error is not wrapped: %v", f, err)
		}
	}
	if err := sheet.Write(io.Discard, 0, sheet.Table{Columns: []string{"a"}, Rows: sheet.Rows()}); err == nil {
		t.Error("the zero format is written")
	}
}

var errFull = errors.New("disk full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }

// Rows are not gathered before they are written.
func TestStreams(t *testing.T) {
	t.Parallel()
	for _, f := range []sheet.Format{sheet.CSV, sheet.JSON} {
		var out bytes.Buffer
		row := []string{strings.Repeat("x", 1<<10)}
		n := 0
		err := sheet.Write(&out, f, sheet.Table{Columns: []string{"a"}, Rows: func(yield func([]string, error) bool) {
			for ; n < 1_000; n++ {
				if n*len(row[0]) > out.Len()+(128<<10) {
					return
				}
				if !yield(row, nil) {
					return
				}
			}
		}})
		if err != nil || n != 1_000 {
			t.Errorf("%v: %v; after %d rows nothing was written", f, err, n)
		}
	}
}

// Whatever is in the cells, every format holds the table, and the two that
// programs read give it back.
func TestAnyText(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(t, "columns")
		cols := make([]string, n)
		for i := range cols {
			cols[i] = fmt.Sprintf("c%d", i)
		}
		row := rapid.SliceOfN(rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })), n, n)
		table := rapid.SliceOfN(row, 0, 5).Draw(t, "rows")
		tab := sheet.Table{Title: rapid.String().Draw(t, "title"), Columns: cols, Rows: sheet.Rows(table...)}

		for _, f := range sheet.Formats() {
			var b bytes.Buffer
			if err := sheet.Write(&b, f, tab); err != nil {
				t.Fatalf("%v: %v", f, err)
			}
			switch f {
			case sheet.CSV:
				if !utf8.Valid(b.Bytes()) {
					t.Fatal("CSV is not UTF-8")
				}
				got, err := csv.NewReader(&b).ReadAll()
				if err != nil || len(got) != len(table)+1 {
					t.Fatalf("CSV: %d records for %d rows, %v", len(got), len(table), err)
				}
				for i, row := range table {
					for j, cell := range row {
						want := strings.ReplaceAll(strings.ToValidUTF8(cell, "\uFFFD"), "\r\n", "\n")
						if g := got[i+1][j]; g != want && g != "'"+want {
							t.Fatalf("CSV: %q became %q", cell, g)
						}
					}
				}
			case sheet.JSON:
				var got []map[string]string
				if err := json.Unmarshal(b.Bytes(), &got); err != nil || len(got) != len(table) {
					t.Fatalf("JSON: %d objects for %d rows, %v", len(got), len(table), err)
				}
				for i, row := range table {
					for j, cell := range row {
						if g := got[i][cols[j]]; g != strings.ToValidUTF8(cell, "\uFFFD") {
							t.Fatalf("JSON: %q became %q", cell, g)
						}
					}
				}
			case sheet.XLSX:
				x, err := excelize.OpenReader(&b)
				if err != nil {
					t.Fatalf("XLSX: %v", err)
				}
				x.Close()
			}
		}
	})
}

func BenchmarkWrite(b *testing.B) {
	const n = 10_000
	row := []string{"2026-11-23T08:00:00Z", "alice@corp.example", "request.submitted", "a justification of some length, as people write them", "018f7e3a-0000-7000-8000-000000000000"}
	for _, f := range sheet.Formats() {
		b.Run(f.String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				err := sheet.Write(io.Discard, f, sheet.Table{Title: "t", Columns: []string{"time", "who", "what", "why", "id"}, Rows: func(yield func([]string, error) bool) {
					for range n {
						if !yield(row, nil) {
							return
						}
					}
				}})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
