// Command protodeps writes the option protos that Gatehouse's own protos import
// (google.api, buf.validate, openapiv3 options). It prints them from the
// descriptors linked into their Go modules, so that buf needs no network and
// nothing is copied by hand. The only argument is the folder to write to.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	_ "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	_ "github.com/grpc-ecosystem/grpc-gateway/v2/protoc-gen-openapiv3/options"
	"github.com/jhump/protoreflect/v2/protoprint"
	_ "google.golang.org/genproto/googleapis/api/annotations"
	_ "google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/protobuf/reflect/protoregistry"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: protodeps <folder>")
		os.Exit(2)
	}
	for _, path := range []string{
		"buf/validate/validate.proto",
		"google/api/annotations.proto",
		"google/api/field_behavior.proto",
		"google/api/http.proto",
		"google/api/httpbody.proto",
		"protoc-gen-openapiv3/options/annotations.proto",
		"protoc-gen-openapiv3/options/openapiv3.proto",
	} {
		if err := write(os.Args[1], path); err != nil {
			fmt.Fprintln(os.Stderr, "protodeps:", err)
			os.Exit(1)
		}
	}
}

// write prints the linked descriptor of path into the folder.
func write(folder, path string) error {
	file, err := protoregistry.GlobalFiles.FindFileByPath(path)
	if err != nil {
		return fmt.Errorf("find %s: %w", path, err)
	}
	var printer protoprint.Printer
	text, err := printer.PrintProtoToString(file)
	if err != nil {
		return fmt.Errorf("print %s: %w", path, err)
	}
	name := filepath.Join(folder, path)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(text), 0o644)
}
