package convert

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/resource"
	"gatehouse.dev/libs/worktime"
	"gatehouse.dev/services/approval/internal/store"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
)

// Week are the days of the week, as they are shown.
var Week = []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday, time.Saturday, time.Sunday}

// WorkingTimeID is the id of whose working time it is.
func WorkingTimeID(w store.WorkingTime) string {
	return cmp.Or(w.EnvironmentID, w.OrganizationID.String())
}

// WorkingTime is a working time to show.
func WorkingTime(w store.WorkingTime) *approvalv1.WorkingTime {
	out := &approvalv1.WorkingTime{
		Id: WorkingTimeID(w), OrganizationId: w.OrganizationID.String(), EnvironmentId: w.EnvironmentID, TimeZone: w.Zone, Holidays: w.Holidays,
		Inherited: w.Inherited, Etag: resource.ETag(WorkingTimeID(w), w.Version),
	}
	if w.Version > 0 {
		out.UpdateTime = Time(w.UpdateTime)
	}
	for n, day := range Week {
		if len(w.Week[day]) == 0 {
			continue
		}
		d := &approvalv1.WorkingDay{Day: approvalv1.Weekday(n + 1)} //nolint:gosec // seven
		for _, window := range w.Week[day] {
			d.Windows = append(d.Windows, &approvalv1.WorkingWindow{From: window.From, To: window.To})
		}
		out.Days = append(out.Days, d)
	}
	return out
}

// Calendar is the calendar of a working time as a caller wants it. INVALID_ARGUMENT:
// WEEKDAY_INVALID, and what keeps a calendar from being one.
func Calendar(w *approvalv1.WorkingTime) (worktime.Spec, error) {
	s := worktime.Spec{Zone: w.GetTimeZone(), Holidays: w.GetHolidays()}
	for n, d := range w.GetDays() {
		i := int(d.GetDay()) - 1
		if i < 0 || i >= len(Week) || len(s.Week[Week[i]]) > 0 {
			return s, apierr.InvalidField(fmt.Sprintf("days[%d].day", n), "WEEKDAY_INVALID", "each day of the week is named once")
		}
		for _, window := range d.GetWindows() {
			s.Week[Week[i]] = append(s.Week[Week[i]], worktime.SpecWindow{From: window.GetFrom(), To: window.GetTo()})
		}
	}
	if _, err := worktime.New(s); err != nil {
		return s, calendarError(err, w)
	}
	return s, nil
}

// calendarError is the public error of a calendar that cannot be.
func calendarError(err error, w *approvalv1.WorkingTime) error {
	var e *worktime.Error
	if !errors.As(err, &e) {
		return err
	}
	place := slices.IndexFunc(w.GetDays(), func(d *approvalv1.WorkingDay) bool { return Week[d.GetDay()-1] == e.Day })
	day := fmt.Sprintf("days[%d].windows", place)
	window := fmt.Sprintf("%s[%d]", day, e.Window)
	fault := map[worktime.Fault]struct{ field, reason string }{
		worktime.ZoneUnknown:     {"time_zone", "TIME_ZONE_UNKNOWN"},
		worktime.TimeInvalid:     {window, "TIME_INVALID"},
		worktime.WindowEmpty:     {window, "WINDOW_EMPTY"},
		worktime.WindowsOverlap:  {window, "WINDOWS_OVERLAP"},
		worktime.TooManyWindows:  {day, "TOO_MANY_WINDOWS"},
		worktime.NoWindows:       {"days", "NO_WINDOWS"},
		worktime.DateInvalid:     {fmt.Sprintf("holidays[%d]", e.Holiday), "DATE_INVALID"},
		worktime.TooManyHolidays: {"holidays", "TOO_MANY_HOLIDAYS"},
	}[e.Fault]
	return apierr.InvalidField(fault.field, fault.reason, "%s", e.Text)
}
