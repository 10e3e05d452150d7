// Package proto holds the public contract of Gatehouse. The Go code generated
// from the protos is below gen/; this package itself only carries the OpenAPI
// 3.1 document of the REST API, so that it can be served without reading files.
package proto

import _ "embed"

// OpenAPI is the OpenAPI 3.1 document of the whole REST API, as JSON. It must
// not be changed.
//
//go:embed gen/openapi.json
var OpenAPI []byte
