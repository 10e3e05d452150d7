// Command apidoc finishes the merged OpenAPI document with what the plugin does
// not know, so that it says what is sent: who may call an operation and with which
// scope (the options gatehouse.authz.v1.access and area), the rules on fields
// (protovalidate), which fields an answer always has, which errors there are, and that
// google.api.HttpBody is answered as a file. Operations that are no RPCs, such as
// SCIM's, stand in base.json and are left as they are, but for the form of their
// errors.
//
//	apidoc image.binpb < merged.json > openapi.json
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

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

// object is a JSON object.
type object = map[string]any

// run reads the merged document and writes the finished one.
func run(image string, in io.Reader, out io.Writer) error {
	contract, err := readContract(image)
	if err != nil {
		return fmt.Errorf("read %s: %w", image, err)
	}
	var document struct {
		OpenAPI    string            `json:"openapi"`
		Info       json.RawMessage   `json:"info"`
		Servers    json.RawMessage   `json:"servers"`
		Security   json.RawMessage   `json:"security"`
		Tags       json.RawMessage   `json:"tags"`
		Paths      map[string]object `json:"paths"`
		Components map[string]object `json:"components"`
	}
	if err := json.NewDecoder(in).Decode(&document); err != nil {
		return fmt.Errorf("decode document: %w", err)
	}
	paths, err := mergePaths(document.Paths)
	if err != nil {
		return err
	}
	document.Paths = paths
	for path, item := range paths {
		for method, operation := range item {
			operation, ok := operation.(object)
			if !ok {
				continue
			}
			if _, ours := operation["x-standard"]; ours {
				continue
			}
			id, _ := operation["operationId"].(string)
			m, ok := contract.method(id)
			if !ok {
				return fmt.Errorf("%s %s: no method %q", method, path, id)
			}
			contract.operation(operation, method, path, m)
		}
	}
	for rpc := range examples {
		return fmt.Errorf("there is no RPC %s for an example", rpc)
	}
	schemas := document.Components["schemas"]
	delete(schemas, "google.api.HttpBody")
	for name, schema := range schemas {
		if message, ok := contract.message(name); ok {
			contract.schema(schema.(object), message)
		}
	}
	// Every error has a code, a message and details.
	schemas["google.rpc.Status"].(object)["required"] = []string{"code", "message", "details"}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(document)
}

// mergePaths joins paths that differ only in what their parameters are called, such
// as /v1/apps/{id} and /v1/apps/{app.id}: they are one.
func mergePaths(paths map[string]object) (map[string]object, error) {
	merged := make(map[string]object, len(paths))
	names := make([]string, 0, len(paths))
	for path := range paths {
		names = append(names, path)
	}
	slices.Sort(names)
	for _, path := range names {
		plain := path
		for _, part := range strings.Split(path, "/") {
			name, verb, ok := strings.Cut(strings.TrimPrefix(part, "{"), "}")
			if !ok || !strings.HasPrefix(part, "{") || !strings.Contains(name, ".") {
				continue
			}
			last := name[strings.LastIndex(name, ".")+1:]
			plain = strings.Replace(plain, part, "{"+last+"}"+verb, 1)
			for _, operation := range paths[path] {
				for _, p := range operation.(object)["parameters"].([]any) {
					if p := p.(object); p["name"] == name {
						p["name"] = last
					}
				}
			}
		}
		if merged[plain] == nil {
			merged[plain] = object{}
		}
		for method, operation := range paths[path] {
			if merged[plain][method] != nil {
				return nil, errors.New(plain + ": two operations for " + method)
			}
			merged[plain][method] = operation
		}
	}
	return merged, nil
}

// operation finishes an operation of an RPC.
func (c *contract) operation(operation object, method, path string, m protoreflect.MethodDescriptor) {
	access := c.access(m)
	describe(operation, access)
	bound := map[string]bool{}
	for _, p := range list(operation["parameters"]) {
		p := p.(object)
		name, _ := p["name"].(string)
		f := field(m.Input(), name)
		if p["in"] == "path" {
			bound[name] = true
		}
		if f == nil {
			continue
		}
		if schema, ok := p["schema"].(object); ok {
			c.constrain(schema, f)
		}
		if p["in"] == "query" && needed(f) {
			p["required"] = true
		}
	}
	if schema := bodyOf(operation); schema != nil && schema["$ref"] == nil && schema["properties"] == nil {
		delete(operation, "requestBody") // all that there is stands in the path
	} else if schema["properties"] != nil {
		// The message without what stands in the path.
		c.schema(schema, m.Input())
		if schema["required"] == nil {
			operation["requestBody"].(object)["required"] = false
		}
	}
	if isFile(operation) {
		operation["responses"].(object)["200"] = object{"description": "The file.", "content": object{"*/*": object{}}}
	}
	c.errorsOf(operation, method, path, m, access, len(bound) > 0)
	if example, ok := examples[string(m.FullName())]; ok {
		operation["requestBody"].(object)["content"].(object)["application/json"].(object)["example"] = json.RawMessage(example)
		delete(examples, string(m.FullName()))
	}
}

func list(v any) []any { l, _ := v.([]any); return l }

// bodyOf is the schema of an operation's body; nil if there is none, or it is a
// message of its own.
func bodyOf(operation object) object {
	body, ok := operation["requestBody"].(object)
	if !ok {
		return nil
	}
	schema, _ := body["content"].(object)["application/json"].(object)["schema"].(object)
	return schema
}

// isFile says whether the plugin made the operation answer a google.api.HttpBody.
func isFile(operation object) bool {
	text, _ := json.Marshal(operation["responses"])
	return strings.Contains(string(text), `"#/components/schemas/google.api.HttpBody"`)
}

// describe writes the callers into an operation and splits its summary.
func describe(operation object, a access) {
	summary, _ := operation["summary"].(string)
	more, _ := operation["description"].(string)
	text := strings.ReplaceAll(summary, "\n", " ")
	first, rest, found := strings.Cut(text, ". ")
	if found {
		first += "."
	}
	var callers string
	switch {
	case len(a.allow) == 0:
		callers = "Nobody may call it."
	case a.public():
		callers = "Anybody may call it, without a token."
		operation["security"] = []any{}
	default:
		callers = "Callers: " + strings.Join(a.allow, ", ") + "."
	}
	if a.scope != "" {
		callers += " Scope: " + a.scope + "."
	}
	if a.stepUp {
		callers += "\n\nSomebody who is signed in must have proved within the last 15 minutes who they are."
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
