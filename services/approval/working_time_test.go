package approval_test

import (
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/servicetest"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

func (w *world) workingTime(t testing.TB, name string) approvalv1.WorkingTimeServiceClient {
	t.Helper()
	return approvalv1.NewWorkingTimeServiceClient(w.Conn(t, w.caller(name)))
}

// environment makes an environment.
func (w *world) environment(t testing.TB, name string) string {
	t.Helper()
	environment := id.New()
	w.Publish(t, w.org, environment, &eventv1.EnvironmentCreated{
		Context: &eventv1.Context{Version: 1}, Environment: &identityv1.Environment{Id: environment.String(), OrganizationId: w.org.String(), Name: name, Version: 1},
	})
	return environment.String()
}

// setWorkingTime changes fields of a working time, in somebody's name.
func (w *world) setWorkingTime(t testing.TB, name, environment string, to *approvalv1.WorkingTime, fields ...string) (*approvalv1.WorkingTime, error) {
	t.Helper()
	r, err := w.workingTime(t, name).UpdateWorkingTime(t.Context(), &approvalv1.UpdateWorkingTimeRequest{
		EnvironmentId: environment, WorkingTime: to, UpdateMask: &fieldmaskpb.FieldMask{Paths: fields},
	})
	return r.GetWorkingTime(), err
}

// monday is a week with windows on Mondays alone.
func monday(windows ...string) []*approvalv1.WorkingDay {
	d := &approvalv1.WorkingDay{Day: approvalv1.Weekday_WEEKDAY_MONDAY}
	for _, w := range windows {
		d.Windows = append(d.Windows, &approvalv1.WorkingWindow{From: w[:5], To: w[6:]})
	}
	return []*approvalv1.WorkingDay{d}
}

// B-APR-05: by when somebody is reminded counts by when people work, which the
// organization says, and each environment may say of its own.
func TestWorkingTime(t *testing.T) {
	t.Parallel()
	w := start(t)
	north, south := w.environment(t, "North"), w.environment(t, "South")
	w.joinIn(t, north, "nora", "", identityv1.Role_ROLE_ADMIN)
	w.joinIn(t, north, "nils", "", identityv1.Role_ROLE_MEMBER)
	w.handled(t)
	get := func(name, environment string) *approvalv1.WorkingTime {
		t.Helper()
		r, err := w.workingTime(t, name).GetWorkingTime(t.Context(), &approvalv1.GetWorkingTimeRequest{EnvironmentId: environment})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetWorkingTime()
	}
	first := get("eve", "")
	if first.GetTimeZone() != "UTC" || len(first.GetDays()) != 5 || first.GetInherited() || first.GetId() != w.org.String() {
		t.Errorf("the default is %v", first)
	}
	whole, err := w.setWorkingTime(t, "zoe", "", &approvalv1.WorkingTime{TimeZone: "Europe/Berlin", Holidays: []string{"2027-01-01", "2026-12-25", "2027-01-01"}, Etag: first.GetEtag()}, "time_zone", "holidays", "etag")
	if err != nil || whole.GetTimeZone() != "Europe/Berlin" || len(whole.GetHolidays()) != 2 || whole.GetHolidays()[0] != "2026-12-25" || len(whole.GetDays()) != 5 {
		t.Fatalf("%v, %v", whole, err)
	}
	if told := servicetest.Wait(t, w.Harness, func(m *eventv1.WorkingTimeUpdated) bool { return true }); told.GetWorkingTime().GetTimeZone() != "Europe/Berlin" || told.GetContext().GetActor().GetId() != w.users["zoe"].GetId() {
		t.Errorf("said %v", told)
	}
	_, err = w.setWorkingTime(t, "zoe", "", &approvalv1.WorkingTime{TimeZone: "UTC", Etag: first.GetEtag()}, "time_zone", "etag")
	wantError(t, err, codes.Aborted, "ETAG_MISMATCH")

	// An environment has the organization's until it has its own, and again when it drops that.
	if got := get("nils", ""); got.GetTimeZone() != "Europe/Berlin" || !got.GetInherited() || got.GetId() != north {
		t.Errorf("the environment has %v", got)
	}
	own, err := w.setWorkingTime(t, "nora", "", &approvalv1.WorkingTime{Days: monday("09:00-12:00", "13:00-24:00")}, "days")
	if err != nil || own.GetInherited() || own.GetTimeZone() != "Europe/Berlin" || len(own.GetDays()) != 1 || own.GetEnvironmentId() != north {
		t.Fatalf("%v, %v", own, err)
	}
	if got := get("zoe", north); len(got.GetDays()) != 1 {
		t.Errorf("the organization sees %v", got)
	}
	if got := get("zoe", south); len(got.GetDays()) != 5 || !got.GetInherited() {
		t.Errorf("another environment has %v", got)
	}
	dropped, err := w.setWorkingTime(t, "zoe", north, &approvalv1.WorkingTime{Inherited: true}, "inherited")
	if err != nil || !dropped.GetInherited() || len(dropped.GetDays()) != 5 || dropped.GetEtag() == own.GetEtag() {
		t.Errorf("dropped: %v, %v", dropped, err)
	}

	for name, tt := range map[string]struct {
		by, environment string
		to              *approvalv1.WorkingTime
		field           string
		code            codes.Code
		reason          string
	}{
		"a member":                     {"eve", "", &approvalv1.WorkingTime{TimeZone: "UTC"}, "time_zone", codes.PermissionDenied, ""},
		"another environment":          {"nora", south, &approvalv1.WorkingTime{TimeZone: "UTC"}, "time_zone", codes.InvalidArgument, "ENVIRONMENT_UNKNOWN"},
		"no environment":               {"zoe", w.org.String(), &approvalv1.WorkingTime{TimeZone: "UTC"}, "time_zone", codes.InvalidArgument, "ENVIRONMENT_UNKNOWN"},
		"no zone":                      {"zoe", "", &approvalv1.WorkingTime{TimeZone: "Mars/Olympus"}, "time_zone", codes.InvalidArgument, "TIME_ZONE_UNKNOWN"},
		"no time":                      {"zoe", "", &approvalv1.WorkingTime{Days: monday("09:00-25:00")}, "days", codes.InvalidArgument, "TIME_INVALID"},
		"ends before it starts":        {"zoe", "", &approvalv1.WorkingTime{Days: monday("09:00-08:00")}, "days", codes.InvalidArgument, "WINDOW_EMPTY"},
		"overlap":                      {"zoe", "", &approvalv1.WorkingTime{Days: monday("09:00-12:00", "11:00-13:00")}, "days", codes.InvalidArgument, "WINDOWS_OVERLAP"},
		"no time at all":               {"zoe", "", &approvalv1.WorkingTime{}, "days", codes.InvalidArgument, "NO_WINDOWS"},
		"a day twice":                  {"zoe", "", &approvalv1.WorkingTime{Days: append(monday("09:00-10:00"), monday("10:00-11:00")...)}, "days", codes.InvalidArgument, "WEEKDAY_INVALID"},
		"no date":                      {"zoe", "", &approvalv1.WorkingTime{Holidays: []string{"2026-02-30"}}, "holidays", codes.InvalidArgument, "DATE_INVALID"},
		"the organization has its own": {"zoe", "", &approvalv1.WorkingTime{Inherited: true}, "inherited", codes.InvalidArgument, "NOTHING_TO_INHERIT"},
		"what is not to be changed":    {"zoe", "", &approvalv1.WorkingTime{OrganizationId: north}, "organization_id", codes.InvalidArgument, "FIELD_NOT_CHANGEABLE"},
	} {
		_, err := w.setWorkingTime(t, tt.by, tt.environment, tt.to, tt.field)
		if t.Log(name); tt.reason != "" {
			wantError(t, err, tt.code, tt.reason)
		} else if err == nil {
			t.Errorf("%s: was let", name)
		}
	}
}
