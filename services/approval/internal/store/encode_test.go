package store

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/services/approval/internal/lifecycle"
)

// What is encoded is decoded as it was, whatever it is.
func TestEncode(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		want := &Record{Approval: &lifecycle.Approval{}}
		draw(t, reflect.ValueOf(want.Approval).Elem())
		want.Version = rapid.Int64().Draw(t, "version")
		// These are columns, and what is not stored.
		want.RequestID, want.EnvironmentID, want.State, want.Refusal, want.Refused, want.Given, want.ToOthers = "", "", "", "", nil, nil, nil
		for _, task := range want.Tasks {
			task.Unsaved = false
		}
		for _, step := range want.Steps {
			step.WhyVacant = ""
		}
		data, err := encode(want)
		if err != nil {
			t.Fatal(err)
		}
		got := &Record{Approval: &lifecycle.Approval{}}
		if err := decode(data, got); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got.Approval, want.Approval)
		}
	})
}

// draw fills a value, so that a field that is new is encoded too.
func draw(t *rapid.T, v reflect.Value) {
	switch v.Interface().(type) {
	case time.Time:
		if rapid.Bool().Draw(t, "set") {
			v.Set(reflect.ValueOf(time.UnixMicro(rapid.Int64Range(1, 4e15).Draw(t, "time")).UTC()))
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Field(i)
			name := v.Type().Field(i).Name
			if f.Kind() == reflect.String && f.Type() == reflect.TypeFor[string]() && len(name) > 1 && name[len(name)-2:] == "ID" {
				f.SetString(drawID(t))
				continue
			}
			if ids, ok := f.Interface().([]string); ok {
				for range rapid.IntRange(0, 3).Draw(t, "ids") {
					ids = append(ids, id.New().String())
				}
				f.Set(reflect.ValueOf(ids))
				continue
			}
			draw(t, f)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		draw(t, v.Elem())
	case reflect.Slice:
		if n := rapid.IntRange(0, 3).Draw(t, "n"); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				draw(t, v.Index(i))
			}
		}
	case reflect.String:
		v.SetString(rapid.String().Draw(t, "text"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "bool"))
	case reflect.Int64:
		v.SetInt(rapid.Int64().Draw(t, "number"))
	case reflect.Int, reflect.Int32:
		v.SetInt(int64(rapid.Int32().Draw(t, "number")))
	default:
		t.Fatalf("a field of kind %s is not encoded", v.Kind())
	}
}

func drawID(t *rapid.T) string {
	if rapid.Bool().Draw(t, "none") {
		return ""
	}
	return id.New().String()
}

func TestDecodeRefusesWhatIsBroken(t *testing.T) {
	t.Parallel()
	data, err := encode(example())
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < len(data); n += 7 {
		got := &Record{Approval: &lifecycle.Approval{}}
		if err := decode(data[:n], got); err == nil && len(got.Tasks) == 3 {
			t.Fatalf("%d of %d bytes were enough", n, len(data))
		}
	}
	if _, err := encode(&Record{Approval: &lifecycle.Approval{FlowID: "x"}}); err == nil {
		t.Fatal("encoded an id that is none")
	}
}

// example is an approval of two steps and three tasks.
func example() *Record {
	person := func(name string) lifecycle.Person {
		return lifecycle.Person{ID: id.New().String(), Name: name, Email: name + "@example.com"}
	}
	now := time.UnixMicro(1_900_000_000_000_000).UTC()
	item, app, flow := id.New().String(), id.New().String(), id.New().String()
	a := &lifecycle.Approval{
		Parties: lifecycle.Parties{Requester: person("ann"), Beneficiary: person("ben"), AccountableIDs: []string{id.New().String()}}, FlowID: flow, FlowVersion: 3, CreateTime: now,
		Steps: []*lifecycle.Step{
			{ItemID: item, AppID: app, Position: 1, FlowID: flow, FlowVersion: 3, State: lifecycle.StepApproved, Needed: 1, OpenTime: now, EndTime: now, Spec: lifecycle.StepSpec{Name: "Manager", Reviewers: lifecycle.Manager, Need: lifecycle.NeedAny}},
			{ItemID: item, AppID: app, Position: 2, FlowID: flow, FlowVersion: 3, State: lifecycle.StepOpen, Needed: 1, OpenTime: now, Spec: lifecycle.StepSpec{Name: "Approvers", Reviewers: lifecycle.AppApprovers, Need: lifecycle.NeedAny}},
		},
	}
	for i, name := range []string{"mia", "per", "pia"} {
		task := &lifecycle.Task{ID: id.New().String(), ItemID: item, Position: min(i+1, 2), Reviewer: person(name), State: lifecycle.TaskOpen, CreateTime: now}
		if i == 0 {
			task.State, task.EndTime, task.EndedBy, task.Comment = lifecycle.TaskApproved, now, task.Reviewer, "fine"
		}
		a.Tasks = append(a.Tasks, task)
	}
	return &Record{Approval: a, Version: 2}
}

// BenchmarkEncode compares the encoding with JSON, there and back.
func BenchmarkEncode(b *testing.B) {
	r := example()
	b.Run("own", func(b *testing.B) {
		b.ReportAllocs()
		var data []byte
		for b.Loop() {
			data, _ = encode(r)
			if err := decode(data, &Record{Approval: &lifecycle.Approval{}}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(data)), "bytes")
	})
	b.Run("json", func(b *testing.B) {
		b.ReportAllocs()
		var data []byte
		for b.Loop() {
			data, _ = json.Marshal(r.Approval)
			if err := json.Unmarshal(data, &lifecycle.Approval{}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(data)), "bytes")
	})
}
