package sheet

// WriteWorkbook lets a test fill a worksheet without writing a million rows.
var WriteWorkbook = writeWorkbook
