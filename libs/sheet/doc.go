// Package sheet writes a table as CSV, XLSX, PDF or JSON: the form in which
// lists, audit trails and reports leave Gatehouse.
//
// It guarantees that rows are taken from the table one at a time, so that CSV,
// JSON and PDF are written as they are read, whatever their number; that no cell
// is taken for a formula by the spreadsheet that opens the file; that every
// row has as many cells as there are columns; and that text comes out as it
// went in, except where a format cannot hold it:
//
//   - CSV (RFC 4180, UTF-8, lines end in CRLF): a cell that a spreadsheet would
//     read as a formula starts with an apostrophe.
//   - XLSX: characters that XML cannot hold become U+FFFD; text beyond 32,767
//     characters in one cell ends in "…"; a table longer than a worksheet goes
//     on in the next one. What exceeds a few megabytes is kept in a temporary
//     file until the table is complete.
//   - PDF: text is in Unicode's composed form (NFC), tabs become spaces, and a
//     line end that does not fit the column is added. The fonts have Latin,
//     Greek, Cyrillic, Chinese, Japanese, Korean, Arabic, Hebrew, Thai and the
//     other scripts listed in pdf_font.go, drawn joined and ordered as each is
//     written; Han characters have their Chinese forms. A character that they
//     lack, such as an emoji, a control character or one that overrides the
//     order of the text around it, is written as its code point ("[U+1F600]"),
//     and the last page says how many are. Text can be searched and copied;
//     Arabic and Hebrew vowel points may be copied in another order. Pages are
//     written as they fill, and fonts, cut to the glyphs in use, at the end.
//   - JSON: an array of objects, keys in the order of the columns, all values
//     strings.
//
// It knows no types but text: numbers, times and enumerations are rendered by
// the caller. It does not sort, filter or total.
package sheet
