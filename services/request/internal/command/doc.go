// Package command is what the request service does: it changes the catalog,
// takes, cancels and closes requests, and reads them for those who may see them.
// A command opens the transaction, loads what it needs, asks lifecycle, saves,
// and emits events. grpcapi and consume only translate.
package command
