// Command apidoc finishes the merged OpenAPI document with what the plugin does
// not know: who may call an operation, taken from the option
// gatehouse.authz.v1.access, a one-sentence summary apart from the rest of the
// comment, and that google.api.HttpBody is answered as a file.
//
//	apidoc image.binpb < merged.json > openapi.json
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/dynamicpb"
)

// access is the option that says who may call a method.
const access = "gatehouse.authz.v1.access"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: apidoc <image> < merged.json > openapi.json")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "apidoc:", err)
		os.Exit(1)
	}
}

// run reads the merged document and writes the finished one.
func run(image string, in io.Reader, out io.Writer) error {
	allowed, err := callers(image)
	if err != nil {
		return fmt.Errorf("read callers from %s: %w", image, err)
	}
	var document struct {
		OpenAPI    string                                `json:"openapi"`
		Info       json.RawMessage                       `json:"info"`
		Servers    json.RawMessage                       `json:"servers"`
		Security   json.RawMessage                       `json:"security"`
		Tags       json.RawMessage                       `json:"tags"`
		Paths      map[string]map[string]any             `json:"paths"`
		Components map[string]map[string]json.RawMessage `json:"components"`
	}
	if err := json.NewDecoder(in).Decode(&document); err != nil {
		return fmt.Errorf("decode document: %w", err)
	}
	for path, item := range document.Paths {
		for method, operation := range item {
			operation, ok := operation.(map[string]any)
			if !ok {
				continue
			}
			id, _ := operation["operationId"].(string)
			who, ok := allowed[id]
			if !ok { // a further http binding: _1, _2 … behind the id
				who, ok = allowed[strings.TrimRight(id, "_0123456789")]
			}
			if !ok {
				return fmt.Errorf("%s %s: no method %q", method, path, id)
			}
			describe(operation, who)
			if isFile(operation) {
				operation["responses"].(map[string]any)["200"] = map[string]any{
					"description": "The file.",
					"content":     map[string]any{"*/*": map[string]any{}},
				}
			}
		}
	}
	delete(document.Components["schemas"], "google.api.HttpBody")
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(document)
}

// isFile says whether the plugin made the operation answer a google.api.HttpBody.
func isFile(operation map[string]any) bool {
	text, _ := json.Marshal(operation["responses"])
	return strings.Contains(string(text), `"#/components/schemas/google.api.HttpBody"`)
}

// describe writes the callers into an operation and splits its summary.
func describe(operation map[string]any, who []string) {
	summary, _ := operation["summary"].(string)
	more, _ := operation["description"].(string)
	text := strings.ReplaceAll(summary, "\n", " ")
	first, rest, found := strings.Cut(text, ". ")
	if found {
		first += "."
	}
	var callers string
	switch {
	case len(who) == 0:
		callers = "Nobody may call it."
	case who[0] == "public":
		callers = "Anybody may call it, without a token."
		operation["security"] = []any{}
	default:
		callers = "Callers: " + strings.Join(who, ", ") + "."
	}
	var description []string
	for _, part := range []string{rest, more, callers} {
		if part != "" {
			description = append(description, part)
		}
	}
	operation["summary"] = first
	operation["description"] = strings.Join(description, "\n\n")
}

// callers returns, by operation id, the lower-case names of who may call each
// method that the image declares.
func callers(image string) (map[string][]string, error) {
	data, err := os.ReadFile(image)
	if err != nil {
		return nil, err
	}
	var set descriptorpb.FileDescriptorSet
	if err := proto.Unmarshal(data, &set); err != nil {
		return nil, err
	}
	files, err := protodesc.NewFiles(&set)
	if err != nil {
		return nil, err
	}
	found, err := files.FindDescriptorByName(access)
	if err != nil {
		return nil, err
	}
	var types protoregistry.Types
	if err := types.RegisterExtension(dynamicpb.NewExtensionType(found.(protoreflect.ExtensionDescriptor))); err != nil {
		return nil, err
	}
	allowed := map[string][]string{}
	for file := range files.RangeFiles {
		for i := range file.Services().Len() {
			service := file.Services().Get(i)
			for j := range service.Methods().Len() {
				method := service.Methods().Get(j)
				who, err := callersOf(method, &types)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", method.FullName(), err)
				}
				allowed[fmt.Sprintf("%s_%s", service.Name(), method.Name())] = who
			}
		}
	}
	return allowed, nil
}

// callersOf reads the access option of one method; none if it has no such option.
func callersOf(method protoreflect.MethodDescriptor, types *protoregistry.Types) ([]string, error) {
	data, err := proto.Marshal(method.Options())
	if err != nil {
		return nil, err
	}
	var options descriptorpb.MethodOptions
	if err := (proto.UnmarshalOptions{Resolver: types}).Unmarshal(data, &options); err != nil {
		return nil, err
	}
	var who []string
	options.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if field.FullName() != access {
			return true
		}
		allow := field.Message().Fields().ByName("allow")
		list := value.Message().Get(allow).List()
		for i := range list.Len() {
			name := string(allow.Enum().Values().ByNumber(list.Get(i).Enum()).Name())
			who = append(who, strings.ToLower(strings.TrimPrefix(name, "CALLER_")))
		}
		return false
	})
	return who, nil
}
