package e2e_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"google.golang.org/genproto/googleapis/rpc/code"
)

var update = flag.Bool("update", false, "write down anew what TestMatrix is answered")

// elsewhere are the answers of an RPC to those who may call it, about what is of
// another environment, or of another organization, sorted.
type elsewhere struct {
	Environment  []string `json:"environment"`
	Organization []string `json:"organization"`
}

// elsewhereFile holds them by RPC. docs/rights.md is made from it and from the protos.
var elsewhereFile = filepath.Join("..", "..", "..", "libs", "authz", "testdata", "elsewhere.json")

// checkElsewhere holds the answers to those that are written down.
func checkElsewhere(t *testing.T, answers map[string]elsewhere) {
	t.Helper()
	got, err := json.MarshalIndent(answers, "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(elsewhereFile, append(got, '\n'), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(elsewhereFile)
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]elsewhere
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	for rpc := range want {
		if _, ok := answers[rpc]; !ok {
			t.Errorf("%s is written down in %s, and not called", rpc, elsewhereFile)
		}
	}
	for rpc, a := range answers {
		if w, ok := want[rpc]; !ok || !slices.Equal(a.Environment, w.Environment) || !slices.Equal(a.Organization, w.Organization) {
			t.Errorf("%s answers %v, and %v is written down (go test ./services/standalone/e2e -run TestMatrix -update, then go test ./libs/authz -run TestRightsTable -update)", rpc, a, w)
		}
	}
}

// answerOf is what an answer comes to. What is refused has the reason, but for what
// is not found: that must look like what does not exist.
func answerOf(method string, status int, raw string) string {
	if status < http.StatusMultipleChoices {
		if method == http.MethodGet {
			return "own only"
		}
		return "changes nothing"
	}
	var failed struct {
		Code    code.Code
		Details []struct{ Reason string }
	}
	if err := json.Unmarshal([]byte(raw), &failed); err != nil {
		return raw
	}
	answer := failed.Code.String()
	if failed.Code == code.Code_NOT_FOUND {
		return answer
	}
	for _, d := range failed.Details {
		if d.Reason != "" {
			answer += " " + d.Reason
		}
	}
	return answer
}

// add is a sorted list with one more, if it is not in it.
func add(to []string, one string) []string {
	at, found := slices.BinarySearch(to, one)
	if found {
		return to
	}
	return slices.Insert(to, at, one)
}
