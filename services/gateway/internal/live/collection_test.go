package live

import (
	"strings"
	"testing"

	"gatehouse.dev/libs/event"
	"gatehouse.dev/proto"
)

// Every event changes something that is known, and every collection is one of the API.
func TestEveryEventChangesSomething(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, typ := range event.Types() {
		known[typ.Aggregate] = true
		if _, ok := changes[typ.Aggregate]; !ok {
			t.Errorf("what does %s change?", typ)
		}
	}
	for aggregate := range changes {
		if !known[aggregate] {
			t.Errorf("there is no event of %s", aggregate)
		}
	}
	for aggregate := range access {
		if !known[aggregate] {
			t.Errorf("there is no event of %s", aggregate)
		}
	}
	for _, c := range all {
		if !strings.Contains(string(proto.OpenAPI), `"/v1/`+string(c)) {
			t.Errorf("/v1/%s is not in the API", c)
		}
	}
}
