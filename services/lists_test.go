package services_test

import (
	"strings"
	"testing"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	pb "google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "gatehouse.dev/proto/gen/gatehouse/approval/v1" // declare the lists
	_ "gatehouse.dev/proto/gen/gatehouse/audit/v1"
	_ "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	_ "gatehouse.dev/proto/gen/gatehouse/ops/v1"
	_ "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	_ "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// Every list has pages of a bounded size, and a larger page_size is cut, not refused
// (AIP-158). The lists before a sign-in have none, and say how long they are at most.
func TestListsHavePages(t *testing.T) {
	t.Parallel()
	bounded := map[protoreflect.Name]string{"ListDevPeople": "at most 200", "ListSignInOptions": "at most 50"}
	lists := 0
	for file := range protoregistry.GlobalFiles.RangeFiles {
		if !strings.HasPrefix(string(file.Package()), "gatehouse.") {
			continue
		}
		for i := range file.Services().Len() {
			methods := file.Services().Get(i).Methods()
			for j := range methods.Len() {
				m := methods.Get(j)
				if !strings.HasPrefix(string(m.Name()), "List") || m.IsStreamingServer() {
					continue
				}
				lists++
				in, out := m.Input().Fields(), m.Output().Fields()
				size, token, next := in.ByName("page_size"), in.ByName("page_token"), out.ByName("next_page_token")
				if bounded[m.Name()] != "" {
					if size != nil {
						t.Errorf("%s has pages", m.FullName())
					}
					continue
				}
				if size == nil || token == nil || next == nil {
					t.Errorf("%s has no pages", m.FullName())
					continue
				}
				rules, _ := pb.GetExtension(size.Options(), validate.E_Field).(*validate.FieldRules)
				if n := rules.GetInt32(); !n.HasGte() || n.GetGte() != 0 || n.HasLte() || n.HasLt() {
					t.Errorf("%s: page_size is %v", m.FullName(), n)
				}
			}
		}
	}
	if lists < 20 {
		t.Errorf("only %d lists", lists)
	}
}
