// Package filter gives lists their filter (AIP-160), their order (AIP-132) and their
// pages.
//
// A [List] is declared once, beside the statement that reads it: the fields that its
// answer shows and that callers may filter and sort by, each with its type and the SQL
// that it stands for. [List.Parse] checks what a caller asks against that and gives a
// [Query], which adds conditions, an order and a limit to the statement, and [Read] reads
// the page.
//
// What a caller writes never becomes SQL: names are looked up among the declared fields,
// values are arguments. A query only narrows what the statement selects, so that nobody
// learns of rows that they may not see, and a field that the answer does not show cannot
// be declared: types and names are those of the answer's message.
//
// The grammar is that of go.einride.tech/aip. Length, terms and depth are bounded before
// it parses; there are no functions and no regular expressions. A statement that was
// asked to filter or to sort is given a time to run in.
//
// Every condition is true or false and never null: NOT is always the complement. A field
// without a value equals nothing and is unequal to everything.
//
// Pages go by keyset: a token says where the last page ended, with the values of what the
// list is sorted by and of the id, which is always the last of them. Fields without a
// value come last, or first if the order is descending.
package filter
