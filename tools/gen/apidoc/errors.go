package main

import (
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// statuses are the HTTP statuses of gRPC codes.
var statuses = map[string]string{
	"INVALID_ARGUMENT": "400", "FAILED_PRECONDITION": "400", "OUT_OF_RANGE": "400", "UNAUTHENTICATED": "401", "PERMISSION_DENIED": "403", "NOT_FOUND": "404",
	"ALREADY_EXISTS": "409", "ABORTED": "409", "RESOURCE_EXHAUSTED": "429", "UNAVAILABLE": "503", "DEADLINE_EXCEEDED": "504",
}

// meanings are what a status means, in every operation that has it.
var meanings = map[string]string{
	"400": "What was sent cannot be taken; fields are named in google.rpc.BadRequest.",
	"401": "There is no valid credential.",
	"403": "The caller may not do this.",
	"404": "It is not there, or not for this caller.",
	"405": "The path takes other methods, which the header Allow names.",
	"409": "Something else stands in the way, or has changed meanwhile.",
	"413": "The body is larger than 1 MiB.",
	"429": "Too many calls; Retry-After says when to call again.",
	"500": "Something went wrong inside; trace_id in the ErrorInfo finds it.",
	"503": "Something is away; Retry-After says when to call again.",
	"504": "It took too long; it may have been done.",
}

// word is a code of gRPC or a reason, which but for one has several parts.
var word = regexp.MustCompile(`\b(?:UNAUTHENTICATED|ABORTED|UNAVAILABLE|BLANK|[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\b`)

// errorsOf writes into an operation which errors it has: those of every operation, of
// what it takes, and the reasons that the comment of its RPC names behind a code. For
// people they stand in the description, for programs in x-reasons.
func (c *contract) errorsOf(operation object, method, path string, m protoreflect.MethodDescriptor, a access, named bool) {
	reasons := c.common(operation, method, collectionOf(path), m, a, named)
	status := ""
	// All comments of an RPC are leading ones.
	comment := m.ParentFile().SourceLocations().ByDescriptor(m).LeadingComments
	for _, w := range word.FindAllString(comment, -1) {
		if code, ok := statuses[w]; ok {
			status = code
			if _, ok := reasons[status]; !ok {
				reasons[status] = nil
			}
		} else if status != "" && !slices.Contains(reasons[status], w) {
			reasons[status] = append(reasons[status], w)
		}
	}
	responses := operation["responses"].(object)
	shape := responses["default"].(object)["content"]
	for status, list := range reasons {
		response := object{"description": meanings[status], "content": shape}
		if len(list) > 0 {
			response["description"] = meanings[status] + " Reasons: " + strings.Join(list, ", ") + "."
			response["x-reasons"] = list
		}
		responses[status] = response
	}
	responses["default"].(object)["description"] = "Any other error."
}

// missing are the reasons with which what is named by its id, or by the id of what it
// belongs to, is not found, by collection.
var missing = map[string][]string{
	"apiTokens": {"API_TOKEN_NOT_FOUND"}, "apps": {"APP_NOT_FOUND"}, "apps/entitlements": {"APP_NOT_FOUND", "ENTITLEMENT_NOT_FOUND"}, "checklists": {"CHECKLIST_NOT_FOUND"},
	"environments": {"ENVIRONMENT_NOT_FOUND"}, "flows": {"FLOW_NOT_FOUND"}, "grants": {"GRANT_NOT_FOUND"}, "groups": {"GROUP_NOT_FOUND"},
	"groups/members": {"GROUP_NOT_FOUND"}, "identityProviders": {"IDENTITY_PROVIDER_NOT_FOUND"}, "integrations": {"INTEGRATION_NOT_FOUND"},
	"parkedEvents": {"EVENT_NOT_FOUND"}, "requests": {"REQUEST_NOT_FOUND"}, "requests/comments": {"REQUEST_NOT_FOUND"}, "requests/report": {"REQUEST_NOT_FOUND"},
	"requests/timeline": {"REQUEST_NOT_FOUND"}, "sources": {"SOURCE_NOT_FOUND"}, "tasks": {"TASK_NOT_FOUND"}, "users": {"USER_NOT_FOUND"},
	"users/identities": {"USER_NOT_FOUND"}, "workItems": {"WORK_ITEM_NOT_FOUND"},
}

// parameter is a part of a path that stands for an id, with the verb behind it.
var parameter = regexp.MustCompile(`/\{[^/}]+\}`)

// collectionOf is what a path is about, without version, ids and verb: apps/entitlements.
func collectionOf(path string) string {
	path, _, _ = strings.Cut(parameter.ReplaceAllString(strings.TrimPrefix(path, "/v1/"), ""), ":")
	return path
}

// common are the reasons, by status, that an operation has by its form: of the gateway,
// of who may call it, and of the fields that mean the same everywhere.
func (c *contract) common(operation object, method, collection string, m protoreflect.MethodDescriptor, a access, named bool) map[string][]string {
	reasons := map[string][]string{
		"400": {"INVALID_ARGUMENT", "HOST_UNKNOWN"},
		"405": {"METHOD_NOT_ALLOWED"},
		"429": {"RATE_LIMITED"},
		"500": {"INTERNAL"},
		"503": {"SERVICE_UNAVAILABLE", "DATABASE_UNAVAILABLE", "SERVER_STOPPING"},
		"504": {"DEADLINE_EXCEEDED"},
	}
	add := func(status string, more ...string) { reasons[status] = append(reasons[status], more...) }
	if method != "get" {
		add("403", "CROSS_ORIGIN")
	}
	if !a.public() {
		add("401", "TOKEN_MISSING", "TOKEN_INVALID", "TOKEN_EXPIRED", "TOKEN_STALE", "TOKEN_OF_OTHER_SERVICE")
		add("403", "ROLE_NOT_ALLOWED")
		add("503", "TOKEN_UNAVAILABLE", "KEYS_UNAVAILABLE", "NOT_KNOWN_YET")
		if !readOnly(m) {
			add("403", "TOKEN_READ_ONLY")
		}
	}
	if a.scope != "" {
		add("403", "SCOPE_MISSING")
	}
	if a.stepUp {
		add("401", "INSUFFICIENT_USER_AUTHENTICATION")
	}
	if named {
		add("404", missing[collection]...)
		add("400", "PATH_INVALID", "INVALID_ID")
	}
	// Parameters are looked at whether there are any or not.
	add("400", "REQUEST_INVALID", "INVALID_TEXT", "QUERY_INVALID", "FIELD_UNKNOWN", "FIELD_INVALID", "FIELD_DUPLICATE")
	if operation["requestBody"] != nil {
		add("400", "BODY_INVALID", "BODY_INCOMPLETE")
		add("413", "BODY_TOO_LARGE")
	}
	for field, of := range map[protoreflect.Name][]string{
		"filter": {"FILTER_INVALID", "FILTER_TOO_COSTLY"}, "order_by": {"ORDER_BY_INVALID"}, "page_token": {"PAGE_TOKEN_INVALID"},
		"request_id": {"REQUEST_ID_REUSED"}, "update_mask": {"FIELD_NOT_CHANGEABLE", "UPDATE_MASK_EMPTY"},
	} {
		if m.Input().Fields().ByName(field) != nil {
			add("400", of...)
		}
	}
	if c.takesUserNames(m.Input(), map[protoreflect.FullName]bool{}) {
		add("400", "USER_UNKNOWN", "USER_AMBIGUOUS", "TOO_MANY_NAMES")
	}
	if takesETag(m.Input()) {
		add("409", "ETAG_MISMATCH")
	}
	for status, list := range reasons {
		slices.Sort(list)
		reasons[status] = slices.Compact(list)
	}
	return reasons
}

// takesUserNames says of a request whether people may be named in it by user name.
func (c *contract) takesUserNames(m protoreflect.MessageDescriptor, seen map[protoreflect.FullName]bool) bool {
	if seen[m.FullName()] {
		return false
	}
	seen[m.FullName()] = true
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if c.takesUserName(f) || f.Message() != nil && c.takesUserNames(f.Message(), seen) {
			return true
		}
	}
	return false
}

// takesETag says of a request whether it, or the resource in it, may have an etag.
func takesETag(m protoreflect.MessageDescriptor) bool {
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if f.Name() == "etag" || f.Message() != nil && f.Message().Fields().ByName("etag") != nil {
			return true
		}
	}
	return false
}
