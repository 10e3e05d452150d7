package flow

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/ext"
)

// A condition is an expression in CEL (the Common Expression Language) that is true for
// what a flow decides. It sees these, and no clock: the time is that of the request, so
// that whoever evaluates it anew gets the same.
//
//	beneficiary, requester   id, user_name, email, department, title, kind
//	                         ("employee", "external", "service", "agent"), environment_id,
//	                         group_ids
//	app                      id, name, category, tags
//	entitlement              id, name, kind ("account", "role", "group", "license"),
//	                         risk ("low", "medium", "high", "critical", else "")
//	request                  kind ("grant", "revoke"), time, permanent, duration
//
// That of a join-flow sees the beneficiary alone. What is not known is empty.
type conditionFacts struct {
	Beneficiary Member
	Requester   Member
	Item        Item
	Request     Request
}

// The types as conditions see them. Their names are what CEL's messages call them.
type (
	// Person is a beneficiary or requester.
	person struct {
		ID            string   `cel:"id"`
		UserName      string   `cel:"user_name"`
		Email         string   `cel:"email"`
		Department    string   `cel:"department"`
		Title         string   `cel:"title"`
		Kind          string   `cel:"kind"`
		EnvironmentID string   `cel:"environment_id"`
		GroupIDs      []string `cel:"group_ids"`
	}
	app struct {
		ID       string   `cel:"id"`
		Name     string   `cel:"name"`
		Category string   `cel:"category"`
		Tags     []string `cel:"tags"`
	}
	entitlement struct {
		ID   string `cel:"id"`
		Name string `cel:"name"`
		Kind string `cel:"kind"`
		Risk string `cel:"risk"`
	}
	request struct {
		Kind      string        `cel:"kind"`
		Time      time.Time     `cel:"time"`
		Permanent bool          `cel:"permanent"`
		Duration  time.Duration `cel:"duration"`
	}
)

// The bounds of a condition.
const (
	// MaxConditionLength is how long one may be, in bytes.
	MaxConditionLength = 2000
	// maxConditionCost is what the dearest evaluation of one may cost, in CEL's units, as
	// estimated when it is saved.
	maxConditionCost = 100_000
	// evaluationCost ends an evaluation that no estimate has foreseen.
	evaluationCost = 1_000_000
	// What is estimated with.
	maxGroups, maxWord = 2000, 300
)

// ConditionError says what is wrong with a condition.
type ConditionError struct {
	// TooCostly says that it might take too long.
	TooCostly bool
	// Fails says that it cannot be evaluated for everybody.
	Fails bool
	Text  string
}

// Error is the text.
func (e *ConditionError) Error() string { return e.Text }

var (
	environments = sync.OnceValues(func() (map[Trigger]*cel.Env, error) {
		options := []cel.EnvOption{
			ext.NativeTypes(ext.ParseStructTags(true), reflect.TypeFor[person](), reflect.TypeFor[app](), reflect.TypeFor[entitlement](), reflect.TypeFor[request]()),
			cel.Variable("beneficiary", cel.ObjectType("flow.person")),
			cel.ParserExpressionSizeLimit(MaxConditionLength), cel.ParserRecursionLimit(50),
		}
		join, err := cel.NewEnv(options...)
		if err != nil {
			return nil, fmt.Errorf("conditions of join-flows: %w", err)
		}
		asked, err := join.Extend(
			cel.Variable("requester", cel.ObjectType("flow.person")), cel.Variable("app", cel.ObjectType("flow.app")),
			cel.Variable("entitlement", cel.ObjectType("flow.entitlement")), cel.Variable("request", cel.ObjectType("flow.request")),
		)
		if err != nil {
			return nil, fmt.Errorf("conditions: %w", err)
		}
		return map[Trigger]*cel.Env{OnJoin: join, OnRequest: asked}, nil
	})

	programs   = make(map[programKey]compiled)
	programsMu sync.Mutex
)

type (
	programKey struct {
		trigger   Trigger
		condition string
	}
	compiled struct {
		program cel.Program
		err     error
	}
)

// maxPrograms bounds what is remembered: it begins again.
const maxPrograms = 4096

// programOf is the program of a condition; each text is compiled once.
func programOf(trigger Trigger, condition string) (cel.Program, error) {
	key := programKey{trigger, condition}
	programsMu.Lock()
	known, ok := programs[key]
	programsMu.Unlock()
	if !ok {
		known.program, known.err = compile(trigger, condition)
		programsMu.Lock()
		if len(programs) >= maxPrograms {
			clear(programs)
		}
		programs[key] = known
		programsMu.Unlock()
	}
	return known.program, known.err
}

func compile(trigger Trigger, condition string) (cel.Program, error) {
	all, err := environments()
	if err != nil {
		return nil, err
	}
	env, ok := all[trigger]
	switch {
	case !ok:
		return nil, &ConditionError{Text: fmt.Sprintf("a flow that is set off by %q has no condition", trigger)}
	case len(condition) > MaxConditionLength:
		return nil, &ConditionError{Text: fmt.Sprintf("a condition has %d characters at most", MaxConditionLength)}
	}
	ast, issues := env.Compile(condition)
	if issues.Err() != nil {
		return nil, &ConditionError{Text: plainIssues(issues)}
	}
	if ast.OutputType() != cel.BoolType {
		return nil, &ConditionError{Text: fmt.Sprintf("a condition is true or false; this is of type %s", plainTypes(ast.OutputType().String()))}
	}
	estimate, err := env.EstimateCost(ast, sizes{})
	if err != nil {
		return nil, &ConditionError{Text: err.Error()}
	}
	if estimate.Max > maxConditionCost {
		return nil, &ConditionError{TooCostly: true, Text: "it could take too long to evaluate: look for one thing in a list, and not for each of a list in another"}
	}
	program, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize), cel.CostLimit(evaluationCost))
	if err != nil {
		return nil, &ConditionError{Text: err.Error()}
	}
	return program, nil
}

// plainIssues says what is wrong, and where, without the frame that CEL draws.
func plainIssues(issues *cel.Issues) string {
	var out []string
	for _, e := range issues.Errors() {
		text := plainTypes(e.Message)
		if line := e.Location.Line(); line > 0 {
			text = fmt.Sprintf("line %d, column %d: %s", line, e.Location.Column()+1, text)
		}
		out = append(out, text)
		if len(out) == 5 {
			break
		}
	}
	return strings.Join(out, "; ")
}

// plainTypes are types as those who write conditions know them.
func plainTypes(text string) string { return strings.ReplaceAll(text, "flow.", "") }

// sizes are how large what conditions see may be.
type sizes struct{}

func (sizes) EstimateSize(n cost.AstNode) *cost.SizeEstimate {
	switch n.Type().Kind() {
	case types.ListKind:
		return &cost.SizeEstimate{Max: maxGroups, Elem: &cost.SizeEstimate{Max: maxWord}}
	case types.StringKind:
		if n.ComputedSize() == nil {
			return &cost.SizeEstimate{Max: maxWord}
		}
	}
	return nil
}

func (sizes) EstimateCallCost(string, string, *cost.AstNode, []cost.AstNode) *cost.CallEstimate {
	return nil
}

// evaluate is whether a condition holds; one that is empty does.
func evaluate(trigger Trigger, condition string, facts conditionFacts) (bool, error) {
	if condition == "" {
		return true, nil
	}
	program, err := programOf(trigger, condition)
	if err != nil {
		return false, err
	}
	values := map[string]any{"beneficiary": personOf(facts.Beneficiary)}
	if trigger == OnRequest {
		q, it := facts.Request, facts.Item
		values["requester"] = personOf(facts.Requester)
		values["app"] = app{ID: it.AppID, Name: it.AppName, Category: it.Category, Tags: it.Tags}
		values["entitlement"] = entitlement{ID: it.EntitlementID, Name: it.EntitlementName, Kind: it.EntitlementKind, Risk: it.Risk}
		values["request"] = request{Kind: string(q.Kind), Time: q.CreateTime, Permanent: q.Permanent(), Duration: q.Length()}
	}
	out, _, err := program.Eval(values)
	if err != nil {
		return false, &ConditionError{Fails: true, Text: plainTypes(err.Error())}
	}
	is, ok := out.Value().(bool)
	if !ok {
		return false, &ConditionError{Fails: true, Text: "it is neither true nor false"}
	}
	return is, nil
}

func personOf(m Member) person {
	return person{
		ID: m.ID, UserName: m.UserName, Email: m.Email, Department: m.Department, Title: m.Title, Kind: m.Kind,
		EnvironmentID: m.EnvironmentID, GroupIDs: m.GroupIDs,
	}
}

// CheckCondition says what keeps a condition from being saved, as a [ConditionError]: it
// is no CEL, is of a wrong type, might take too long, or cannot be evaluated for somebody
// of whom nothing is known, or for an ordinary request.
func CheckCondition(trigger Trigger, condition string) error {
	when := time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC)
	known := Member{
		ID: "00000000-0000-4000-8000-000000000001", UserName: "ada@example.com", Email: "ada@example.com", Department: "Research", Title: "Engineer",
		Kind: "employee", GroupIDs: []string{"00000000-0000-4000-8000-000000000002"},
	}
	for _, facts := range []conditionFacts{
		{Request: Request{Kind: Grant, CreateTime: when}},
		{
			Beneficiary: known, Requester: known, Request: Request{Kind: Grant, CreateTime: when, Until: when.Add(time.Hour)},
			Item: Item{
				AppID: "00000000-0000-4000-8000-000000000003", AppName: "Chat", Category: "Communication", Tags: []string{"chat"},
				EntitlementID: "00000000-0000-4000-8000-000000000004", EntitlementName: "Account", EntitlementKind: "account", Risk: "low",
			},
		},
	} {
		if _, err := evaluate(trigger, condition, facts); err != nil {
			var wrong *ConditionError
			if errors.As(err, &wrong) && wrong.Fails && facts.Beneficiary.ID == "" {
				return &ConditionError{Fails: true, Text: "it cannot be evaluated where nothing is known of the person or the item: " + wrong.Text}
			}
			return err
		}
	}
	return nil
}
