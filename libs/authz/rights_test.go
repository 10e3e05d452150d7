package authz_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"gatehouse.dev/libs/authz"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
)

var update = flag.Bool("update", false, "write docs/rights.md anew")

// docs/rights.md is what the protos say about who may call what.
func TestRightsTable(t *testing.T) {
	t.Parallel()
	file := filepath.Join("..", "..", "docs", "rights.md")
	want := rightsTable(t)
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Error("docs/rights.md is not what the protos say: go test ./libs/authz -run TestRightsTable -update")
	}
}

// elsewhere are the answers of an RPC to those who may call it, about what is of
// another environment, or of another organization.
type elsewhere struct{ Environment, Organization []string }

// cells are the columns of the RPC, which is called over HTTP if it has a path.
func (e elsewhere) cells(hasPath bool) string {
	if !hasPath {
		return "  |  |"
	}
	cell := func(answers []string) string {
		if len(answers) == 0 {
			return "names nothing"
		}
		return strings.Join(answers, ", ")
	}
	return " " + cell(e.Environment) + " | " + cell(e.Organization) + " |"
}

func rightsTable(t *testing.T) string {
	t.Helper()
	asserted, err := os.ReadFile(filepath.Join("testdata", "elsewhere.json"))
	if err != nil {
		t.Fatal(err)
	}
	var others map[string]elsewhere
	if err := json.Unmarshal(asserted, &others); err != nil {
		t.Fatal(err)
	}
	columns := []authzv1.Caller{
		authzv1.Caller_CALLER_PUBLIC, authzv1.Caller_CALLER_ADMIN, authzv1.Caller_CALLER_IT_ADMIN,
		authzv1.Caller_CALLER_RISK_MANAGER, authzv1.Caller_CALLER_MEMBER, authzv1.Caller_CALLER_EXTERNAL,
	}
	var b strings.Builder
	b.WriteString("# Who may call what\n\n" +
		"Made from the protos (`gatehouse.authz.v1.access` and `area`); a test holds the two together. Which rows a caller sees of what they may call is said in each RPC's comment, and held to the organization and the environment of their role by the service and by row-level security. An r: somebody who is signed in must have proved within the last 15 minutes who they are. A token that is narrowed to scopes needs the one in the column *scope* besides its user's role; `<area>:write` is also good for `<area>:read`.\n\n" +
		"The columns *services* to *external* are about what is the caller's own: an x or an r lets them in, and everybody else gets PERMISSION_DENIED with the reason ROLE_NOT_ALLOWED, or UNAUTHENTICATED with TOKEN_MISSING or TOKEN_INVALID; that holds for what is others' too. The last two columns are what those who are let in are answered about what is of another environment than that of their role, and of another organization. *Own only*: the answer holds nothing of the others'. *Changes nothing*: the answer is as if it had been done already. *Names nothing*: a call can name nothing that is another's. Several answers: they differ by role, or by what the call names. Empty: the RPC has no HTTP path.\n\n" +
		"TestMatrix in services/standalone/e2e calls every operation of the HTTP API in every role, about its own, about another environment and about another organization; what it is answered is in libs/authz/testdata/elsewhere.json, from which these columns are made and against which it fails. TestEveryCaller in each service calls every RPC by gRPC as every role, every service and nobody.\n\n" +
		"| RPC | scope | services |")
	for _, c := range columns {
		b.WriteString(" " + authz.RoleName(c) + " |")
	}
	b.WriteString(" other environment | other organization |\n|---|---|---|" + strings.Repeat(":-:|", len(columns)) + "---|---|\n")
	var rows []string
	protoregistry.GlobalFiles.RangeFiles(func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			service := f.Services().Get(i)
			for j := range service.Methods().Len() {
				m := service.Methods().Get(j)
				opts, _ := m.Options().(*descriptorpb.MethodOptions)
				access, _ := proto.GetExtension(opts, authzv1.E_Access).(*authzv1.Access)
				if access == nil || !strings.HasPrefix(string(m.FullName()), "gatehouse.") {
					continue
				}
				row := fmt.Sprintf("| `%s/%s` | %s | %s |", strings.TrimPrefix(string(service.FullName()), "gatehouse."), m.Name(), authz.NeededScope(m), strings.Join(access.GetClients(), ", "))
				for _, c := range columns {
					mark := ""
					if slices.Contains(access.GetAllow(), c) {
						mark = "x"
						if access.GetStepUp() {
							mark = "r"
						}
					}
					row += " " + mark + " |"
				}
				rpc := fmt.Sprintf("%s/%s", service.Name(), m.Name())
				rows = append(rows, row+others[rpc].cells(proto.HasExtension(opts, annotations.E_Http)))
				delete(others, rpc)
			}
		}
		return true
	})
	for rpc := range others {
		t.Errorf("there is no %s: go test ./services/standalone/e2e -run TestMatrix -update", rpc)
	}
	slices.Sort(rows)
	return b.String() + strings.Join(rows, "\n") + "\n"
}
