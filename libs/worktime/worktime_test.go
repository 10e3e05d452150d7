package worktime_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"gatehouse.dev/libs/worktime"
)

func calendar(t *testing.T, s worktime.Spec) *worktime.Calendar {
	t.Helper()
	c, err := worktime.New(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// every is a calendar with the same windows on each day.
func every(zone string, windows ...worktime.SpecWindow) worktime.Spec {
	s := worktime.Spec{Zone: zone}
	for day := range s.Week {
		s.Week[day] = windows
	}
	return s
}

// B-APR-05: what is due after working time is due when that has passed where people work.
func TestAdd(t *testing.T) {
	t.Parallel()
	office := worktime.Default()
	berlin := office
	berlin.Zone = "Europe/Berlin"
	berlin.Holidays = []string{"2026-12-25", "2027-01-01"}
	night := every("Europe/Berlin", worktime.SpecWindow{From: "02:00", To: "03:00"})
	around := every("Europe/Berlin", worktime.SpecWindow{From: "00:00", To: "24:00"})
	half := every("Australia/Lord_Howe", worktime.SpecWindow{From: "01:00", To: "03:00"}) // goes by half an hour
	nepal := every("Asia/Kathmandu", worktime.SpecWindow{From: "09:00", To: "10:00"})
	samoa := every("Pacific/Apia", worktime.SpecWindow{From: "09:00", To: "10:00"})
	for name, tt := range map[string]struct {
		spec worktime.Spec
		from string
		add  time.Duration
		want string
	}{
		"nothing":                           {office, "2026-11-28T12:00:00Z", 0, "2026-11-28T12:00:00Z"},
		"within a day":                      {office, "2026-11-27T10:00:00Z", 2 * time.Hour, "2026-11-27T12:00:00Z"},
		"to the end of a day, and not more": {office, "2026-11-27T10:00:00Z", 7 * time.Hour, "2026-11-27T17:00:00Z"},
		"over a weekend":                    {office, "2026-11-27T16:00:00Z", 2 * time.Hour, "2026-11-30T10:00:00Z"},
		"from a weekend":                    {office, "2026-11-28T12:00:00Z", 8 * time.Hour, "2026-11-30T17:00:00Z"},
		"24 hours are three days":           {office, "2026-11-25T09:00:00Z", 24 * time.Hour, "2026-11-27T17:00:00Z"},
		"in a zone":                         {berlin, "2026-11-27T08:00:00Z", 8 * time.Hour, "2026-11-27T16:00:00Z"},
		"over holidays":                     {berlin, "2026-12-24T15:00:00Z", 2 * time.Hour, "2026-12-28T09:00:00Z"},
		"what the clock leaves out":         {night, "2026-03-28T22:00:00Z", time.Hour, "2026-03-30T01:00:00Z"},
		"what the clock shows twice":        {night, "2026-10-24T22:00:00Z", 90 * time.Minute, "2026-10-25T01:30:00Z"},
		"a day of 23 hours":                 {around, "2026-03-28T23:00:00Z", 24 * time.Hour, "2026-03-29T23:00:00Z"},
		"half an hour twice":                {half, "2026-04-04T12:00:00Z", 150 * time.Minute, "2026-04-04T16:30:00Z"},
		"a zone of 45 minutes":              {nepal, "2026-11-27T00:00:00Z", time.Hour, "2026-11-27T04:15:00Z"},
		"a day that was left out":           {samoa, "2011-12-29T20:00:00Z", 2 * time.Hour, "2011-12-31T20:00:00Z"},
	} {
		from, _ := time.Parse(time.RFC3339, tt.from)
		got, err := calendar(t, tt.spec).Add(from, tt.add)
		if err != nil || got.Format(time.RFC3339) != tt.want {
			t.Errorf("%s: %s, %v; want %s", name, got.Format(time.RFC3339), err, tt.want)
		}
	}
}

func TestEnds(t *testing.T) {
	t.Parallel()
	// One day in a week, and every such day of more than ten years is a holiday.
	s := worktime.Spec{Zone: "UTC"}
	s.Week[time.Monday] = []worktime.SpecWindow{{From: "09:00", To: "09:01"}}
	start := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	for n := range 600 {
		s.Holidays = append(s.Holidays, start.AddDate(0, 0, 7*n).Format(time.DateOnly))
	}
	c := calendar(t, s)
	if at, err := c.Add(start, time.Minute); !errors.Is(err, worktime.ErrTooFar) {
		t.Errorf("%s, %v; want %v", at, err, worktime.ErrTooFar)
	}
	if at, err := calendar(t, worktime.Default()).Add(start, 1<<62); !errors.Is(err, worktime.ErrTooFar) {
		t.Errorf("%s, %v; want %v", at, err, worktime.ErrTooFar)
	}
	if d := c.Between(start, start.AddDate(500, 0, 0)); d != 0 {
		t.Errorf("%s of working time in ten years of holidays", d)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	at := func(windows ...worktime.SpecWindow) worktime.Spec { return every("UTC", windows...) }
	for name, tt := range map[string]struct {
		spec worktime.Spec
		want worktime.Fault
	}{
		"no zone":           {every("", worktime.SpecWindow{From: "09:00", To: "10:00"}), worktime.ZoneUnknown},
		"the machine's":     {every("Local", worktime.SpecWindow{From: "09:00", To: "10:00"}), worktime.ZoneUnknown},
		"unknown zone":      {every("Europe/Atlantis", worktime.SpecWindow{From: "09:00", To: "10:00"}), worktime.ZoneUnknown},
		"a path":            {every("../etc/passwd", worktime.SpecWindow{From: "09:00", To: "10:00"}), worktime.ZoneUnknown},
		"no window":         {at(), worktime.NoWindows},
		"ends before":       {at(worktime.SpecWindow{From: "10:00", To: "09:00"}), worktime.WindowEmpty},
		"ends at its start": {at(worktime.SpecWindow{From: "10:00", To: "10:00"}), worktime.WindowEmpty},
		"starts at 24:00":   {at(worktime.SpecWindow{From: "24:00", To: "24:00"}), worktime.TimeInvalid},
		"after 24:00":       {at(worktime.SpecWindow{From: "09:00", To: "24:01"}), worktime.TimeInvalid},
		"no time":           {at(worktime.SpecWindow{From: "9:00", To: "10:00"}), worktime.TimeInvalid},
		"signs":             {at(worktime.SpecWindow{From: "+9:00", To: "10:00"}), worktime.TimeInvalid},
		"overlap":           {at(worktime.SpecWindow{From: "12:00", To: "17:00"}, worktime.SpecWindow{From: "09:00", To: "12:01"}), worktime.WindowsOverlap},
		"four": {at(worktime.SpecWindow{From: "01:00", To: "02:00"}, worktime.SpecWindow{From: "03:00", To: "04:00"},
			worktime.SpecWindow{From: "05:00", To: "06:00"}, worktime.SpecWindow{From: "07:00", To: "08:00"}), worktime.TooManyWindows},
		"no date": {func() worktime.Spec { s := worktime.Default(); s.Holidays = []string{"2026-02-30"}; return s }(), worktime.DateInvalid},
		"too many": {func() worktime.Spec {
			s := worktime.Default()
			s.Holidays = make([]string, worktime.MaxHolidays+1)
			return s
		}(), worktime.TooManyHolidays},
	} {
		_, err := worktime.New(tt.spec)
		var e *worktime.Error
		if !errors.As(err, &e) || e.Fault != tt.want {
			t.Errorf("%s: %v; want fault %d", name, err, tt.want)
		}
	}
}

var zones = []string{
	"UTC", "Europe/Berlin", "America/New_York", "America/St_Johns", "Asia/Kathmandu", "Asia/Kolkata", "Pacific/Chatham",
	"Australia/Lord_Howe", "America/Sao_Paulo", "Africa/Casablanca", "Pacific/Apia", "America/Havana", "Atlantic/Azores",
}

func random(r *rand.Rand) worktime.Spec {
	s := worktime.Spec{Zone: zones[r.IntN(len(zones))]}
	hhmm := func(m int) string { return fmt.Sprintf("%02d:%02d", m/60, m%60) }
	for day := range s.Week {
		for at, n := r.IntN(600), r.IntN(4); n > 0 && at < 1440; n-- {
			to := min(1440, at+1+r.IntN(700))
			s.Week[day] = append(s.Week[day], worktime.SpecWindow{From: hhmm(at), To: hhmm(to)})
			at = to + r.IntN(300)
		}
	}
	s.Week[r.IntN(7)] = []worktime.SpecWindow{{From: "00:00", To: "24:00"}}
	for range r.IntN(200) {
		s.Holidays = append(s.Holidays, time.Date(2024, 1, r.IntN(2000), 0, 0, 0, 0, time.UTC).Format(time.DateOnly))
	}
	return s
}

// Add and Between undo each other, more working time is never earlier, and the parts of a
// time have together what the whole has; in every zone, over every change of its clock.
func TestAddAndBetweenAgree(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 12))
	for range 3000 {
		s := random(r)
		c := calendar(t, s)
		from := time.Unix(1704067200+r.Int64N(3*365*86400), 0).UTC()
		d := time.Duration(1+r.Int64N(3000)) * time.Minute
		at, err := c.Add(from, d)
		if err != nil {
			t.Fatalf("%+v: %v", s, err)
		}
		if got := c.Between(from, at); got != d {
			t.Fatalf("%+v: between %s and %s + %s are %s", s, from, from, d, got)
		}
		if got := c.Between(from, at.Add(-time.Second)); got >= d {
			t.Fatalf("%+v: %s + %s is not the first such moment", s, from, d)
		}
		later, err := c.Add(from, d+time.Duration(r.Int64N(600))*time.Minute)
		if err != nil || later.Before(at) {
			t.Fatalf("%+v: more than %s is earlier: %s, %s, %v", s, d, at, later, err)
		}
		middle := from.Add(time.Duration(r.Int64N(int64(at.Sub(from)) + 1)))
		if got := c.Between(from, middle) + c.Between(middle, at); got != d {
			t.Fatalf("%+v: the parts of %s are %s", s, d, got)
		}
		if got := c.Between(at, from); got != 0 {
			t.Fatalf("%+v: %s backwards", s, got)
		}
	}
}
