// Package console is the web application as it was built: the files that the gateway serves
// at /. Their source is beside it; make console builds them.
package console

import (
	"embed"
	"io/fs"
)

//go:embed dist
var built embed.FS

// Files are the built files: index.html and what it needs. index.html has __NONCE__ where
// each answer has a nonce of its own.
func Files() (fs.FS, error) {
	return fs.Sub(built, "dist") //nolint:wrapcheck // only a misspelt folder fails
}
