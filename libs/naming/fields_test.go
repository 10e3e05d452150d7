package naming_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"gatehouse.dev/libs/naming"
	_ "gatehouse.dev/proto/gen/gatehouse/audit/v1"
	_ "gatehouse.dev/proto/gen/gatehouse/ops/v1"
)

// exceptions are fields of requests that hold ids of users and take no user name: why
// not. Those of the resources that updates send hold what an answer says.
var exceptions = map[string]string{
	"gatehouse.audit.v1.ListAuditEntriesRequest.user_id":  "audit keeps no user names, and is asked about people who have left",
	"gatehouse.audit.v1.ListAuditEntriesRequest.actor_id": "an actor need not be a user, and audit keeps no user names",
	"gatehouse.request.v1.App.gone_user_ids":              "an answer alone",
	"gatehouse.approval.v1.Flow.editor_ids":               "an answer alone",
	"gatehouse.identity.v1.Person.user_id":                "an answer alone",
}

var (
	// named are names of fields with ids of users, and documented what their comments say.
	named      = regexp.MustCompile(`(^|_)(user|owner|admin|approver|reviewer|beneficiary|requester|assignee|manager|member|actor|editor|sponsor|delegate)_ids?$`)
	documented = regexp.MustCompile(`(?i)\bids?\b( or user names?)? of (the |those |a )?(user|people|person|admin|approver|reviewer)`)
	// beginning begins a message or is one of its fields, with its comment before.
	beginning = regexp.MustCompile(`(?m)^message (\w+) \{|((?:^ +//[^\n]*\n)*)^ +(?:repeated |optional )?string (\w+) = \d+`)
	inPackage = regexp.MustCompile(`(?m)^package ([\w.]+);`)
)

// Every field of a request that holds ids of users takes user names.
func TestEveryUserIDTakesAName(t *testing.T) {
	t.Parallel()
	comments := comments(t)
	excepted := make(map[string]bool)
	fields, seen := 0, make(map[protoreflect.FullName]bool)
	var look func(m protoreflect.MessageDescriptor)
	look = func(m protoreflect.MessageDescriptor) {
		if seen[m.FullName()] || !strings.HasPrefix(string(m.FullName()), "gatehouse.") {
			return
		}
		seen[m.FullName()] = true
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			if f.Message() != nil {
				look(f.Message())
				continue
			}
			name := string(f.FullName())
			is := naming.Marked(f)
			if is {
				fields++
			}
			switch isID := f.Kind() == protoreflect.StringKind && (named.MatchString(string(f.Name())) || documented.MatchString(comments[name])); {
			case exceptions[name] != "":
				excepted[name] = true
				if is || !isID {
					t.Errorf("%s needs no exception", name)
				}
			case isID && !is:
				t.Errorf("%s holds ids of users and lacks the option gatehouse.identity.v1.user_id", name)
			case is && !strings.Contains(comments[name], "user name"):
				t.Errorf("the comment of %s does not say that it takes a user name", name)
			}
		}
	}
	for f := range protoregistry.GlobalFiles.RangeFiles {
		for i := range f.Services().Len() {
			for j := range f.Services().Get(i).Methods().Len() {
				look(f.Services().Get(i).Methods().Get(j).Input())
			}
		}
	}
	for name := range exceptions {
		if !excepted[name] {
			t.Errorf("there is no field %s in a request", name)
		}
	}
	if fields < 20 {
		t.Errorf("only %d fields were found", fields)
	}
}

// comments are those of the fields of texts in the protos, by full name.
func comments(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../../proto/gatehouse/*/v1/*.proto")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d protos, %v", len(files), err)
	}
	out := make(map[string]string)
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		in, message := inPackage.FindSubmatch(data), ""
		for _, m := range beginning.FindAllStringSubmatch(string(data), -1) {
			if m[1] != "" {
				message = m[1]
				continue
			}
			out[string(in[1])+"."+message+"."+m[3]] = strings.Join(strings.Fields(strings.ReplaceAll(m[2], "//", " ")), " ")
		}
	}
	return out
}
