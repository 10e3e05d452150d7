package gateway_test

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	"github.com/pb33f/libopenapi-validator/schema_validation"
	"github.com/pb33f/libopenapi/datamodel/high/base"

	"gatehouse.dev/proto"
)

// Every body that openapi.json describes has an example, which the schema takes and
// which names no field that there is not.
func TestExamples(t *testing.T) {
	t.Parallel()
	document, err := libopenapi.NewDocument(proto.OpenAPI)
	if err != nil {
		t.Fatal(err)
	}
	model, err := document.BuildV3Model()
	if err != nil {
		t.Fatal(err)
	}
	validator := schema_validation.NewSchemaValidator()
	bodies := 0
	for _, item := range model.Model.Paths.PathItems.FromOldest() {
		for _, o := range item.GetOperations().FromOldest() {
			if o.RequestBody == nil {
				continue
			}
			for kind, media := range o.RequestBody.Content.FromOldest() {
				bodies++
				if media.Example == nil {
					t.Errorf("%s: no example of %s", o.OperationId, kind)
					continue
				}
				var example any
				if err := media.Example.Decode(&example); err != nil {
					t.Fatal(err)
				}
				schema := media.Schema.Schema()
				if ok, errs := validator.ValidateSchemaObject(schema, example); !ok {
					for _, e := range errs {
						t.Errorf("%s: %s %v", o.OperationId, e.Reason, e.SchemaValidationErrors)
					}
				}
				for _, name := range unknownIn(schema, example, "") {
					t.Errorf("%s: the example has %s, which there is not", o.OperationId, name)
				}
			}
		}
	}
	if bodies < 40 {
		t.Errorf("only %d bodies", bodies)
	}
}

// unknownIn are the fields of an example that its schema does not name.
func unknownIn(schema *base.Schema, example any, at string) (names []string) {
	switch example := example.(type) {
	case map[string]any:
		if schema.Properties == nil {
			return nil // anything
		}
		for name, value := range example {
			p, ok := schema.Properties.Get(name)
			if !ok {
				names = append(names, at+name)
				continue
			}
			names = append(names, unknownIn(p.Schema(), value, at+name+".")...)
		}
	case []any:
		for _, value := range example {
			if schema.Items != nil && schema.Items.IsA() {
				names = append(names, unknownIn(schema.Items.A.Schema(), value, at)...)
			}
		}
	}
	return names
}

// What the gateway refuses by itself stands in openapi.json, under each operation of
// the path: another method, and a body that is too large.
func TestRefusalsAreDeclared(t *testing.T) {
	t.Parallel()
	w := start(t)
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string `json:"operationId"`
			RequestBody any    `json:"requestBody"`
			Standard    string `json:"x-standard"`
			Responses   map[string]struct {
				Description string
				Reasons     []string `json:"x-reasons"`
			}
		}
	}
	if err := json.Unmarshal(proto.OpenAPI, &doc); err != nil {
		t.Fatal(err)
	}
	large := `"` + strings.Repeat("x", 1<<20) + `"`
	for path, item := range doc.Paths {
		p := strings.ReplaceAll(path, "{service}", "approval")
		for from := strings.IndexByte(p, '{'); from >= 0; from = strings.IndexByte(p, '{') {
			p = p[:from] + uuid + p[strings.IndexByte(p, '}')+1:]
		}
		for verb, o := range item {
			if o.Standard != "" {
				continue
			}
			check := func(a answer, code int, status string) {
				t.Helper()
				if a.code != code {
					t.Fatalf("%s %s: %d %s", verb, path, a.code, a.body)
				}
				reason, _ := a.reason(t)
				if r := o.Responses[status]; !slices.Contains(r.Reasons, reason) || !strings.Contains(r.Description, reason) {
					t.Errorf("%s: %s %s is not declared: %+v", o.OperationID, status, reason, r)
				}
			}
			check(w.call("PUT", p, "", asAdmin()...), http.StatusMethodNotAllowed, "405")
			if o.RequestBody != nil {
				check(w.call(strings.ToUpper(verb), p, large, asAdmin()...), http.StatusRequestEntityTooLarge, "413")
			}
		}
	}
}
