package connector

import (
	"context"
	"reflect"
	"slices"
	"testing"
)

// looker is a connector that can only look: whatever else it is asked for ends the test.
type looker struct{ Connector }

func (looker) Test(context.Context) (Report, error) {
	return Report{Checks: []Check{{Name: "read", OK: true}, {Name: "change", ForChanges: true}}}, nil
}
func (looker) Find(context.Context, Person, string) (*Account, error)    { return nil, nil }
func (looker) Holds(context.Context, string, Entitlement) (bool, error)  { return true, nil }
func (looker) ListEntitlements(context.Context, Listing) (Page, error)   { return Page{}, nil }
func (looker) HasEntitlement(context.Context, Entitlement) (bool, error) { return true, nil }

// B-ONB-10, in part: a connector that may only read lets through what looks, and refuses all
// else before the app is called; also what is added to Connector one day.
func TestReadOnly(t *testing.T) {
	t.Parallel()
	looks := []string{"Test", "Find", "Holds", "ListEntitlements", "HasEntitlement"}
	c := reflect.ValueOf(ReadOnly(looker{}))
	all := reflect.TypeFor[Connector]()
	for i := range all.NumMethod() {
		m := all.Method(i)
		in := []reflect.Value{reflect.ValueOf(t.Context())}
		for n := 1; n < m.Type.NumIn(); n++ {
			in = append(in, reflect.Zero(m.Type.In(n)))
		}
		out := c.MethodByName(m.Name).Call(in)
		err, _ := out[len(out)-1].Interface().(error)
		if slices.Contains(looks, m.Name) {
			if err != nil {
				t.Errorf("%s: %v", m.Name, err)
			}
		} else if KindOf(err) != Permanent {
			t.Errorf("%s is let through: %v", m.Name, err)
		}
	}
	report, err := ReadOnly(looker{}).Test(t.Context())
	if err != nil || !report.OK() || len(report.Checks) != 1 {
		t.Errorf("asks for more than it needs: %v, %v", report, err)
	}
}
