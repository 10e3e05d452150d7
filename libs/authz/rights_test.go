package authz_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
	want := rightsTable()
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

func rightsTable() string {
	columns := []authzv1.Caller{
		authzv1.Caller_CALLER_PUBLIC, authzv1.Caller_CALLER_ADMIN, authzv1.Caller_CALLER_IT_ADMIN,
		authzv1.Caller_CALLER_RISK_MANAGER, authzv1.Caller_CALLER_MEMBER, authzv1.Caller_CALLER_EXTERNAL,
	}
	var b strings.Builder
	b.WriteString("# Who may call what\n\n" +
		"Made from the protos (`gatehouse.authz.v1.access` and `area`); a test holds the two together. Which rows a caller sees of what they may call is said in each RPC's comment, and held to the organization and the environment of their role by the service and by row-level security. An r: somebody who is signed in must have proved within the last 15 minutes who they are. A token that is narrowed to scopes needs the one in the column *scope* besides its user's role; `<area>:write` is also good for `<area>:read`.\n\n" +
		"| RPC | scope | services |")
	for _, c := range columns {
		b.WriteString(" " + authz.RoleName(c) + " |")
	}
	b.WriteString("\n|---|---|---|" + strings.Repeat(":-:|", len(columns)) + "\n")
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
				rows = append(rows, row)
			}
		}
		return true
	})
	slices.Sort(rows)
	return b.String() + strings.Join(rows, "\n") + "\n"
}
