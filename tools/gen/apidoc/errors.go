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
	"409": "Something else stands in the way, or has changed meanwhile.",
	"429": "Too many calls; Retry-After says when to call again.",
	"503": "Something is away; Retry-After says when to call again.",
	"504": "It took too long; it may have been done.",
}

// word is a code of gRPC or a reason, which has several parts.
var word = regexp.MustCompile(`\b(?:UNAUTHENTICATED|ABORTED|UNAVAILABLE|[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+)\b`)

// errorsOf writes into an operation which errors it has: those of every operation,
// and the reasons that the comment of its RPC names behind a code.
func errorsOf(operation object, m protoreflect.MethodDescriptor, a access, named bool) {
	reasons := map[string][]string{"400": {"INVALID_FIELDS"}, "429": {"RATE_LIMITED"}, "503": {"UNAVAILABLE"}}
	if !a.public() {
		reasons["401"] = []string{"TOKEN_MISSING", "TOKEN_INVALID"}
		reasons["403"] = []string{"ROLE_NOT_ALLOWED", "TOKEN_READ_ONLY"}
	}
	if a.scope != "" {
		reasons["403"] = append(reasons["403"], "SCOPE_MISSING")
	}
	if a.stepUp {
		reasons["401"] = append(reasons["401"], "INSUFFICIENT_USER_AUTHENTICATION")
	}
	if named {
		reasons["404"] = nil
	}
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
		text := meanings[status]
		if len(list) > 0 {
			text += " Reasons: " + strings.Join(list, ", ") + "."
		}
		responses[status] = object{"description": text, "content": shape}
	}
	responses["default"].(object)["description"] = "Any other error."
}
