// Package worktime counts working time: the time within the windows of a weekly
// calendar, in a time zone, without holidays. It is pure.
//
// A moment is working time if the local clock then shows a time within a window of
// that local day. Real elapsed time counts: a window that lies in the gap of a clock
// that is put forward is shorter by the gap, and what the clock shows twice counts
// twice.
package worktime

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
	_ "time/tzdata" // the machine need not have the time zones
)

// MaxWindows is how many windows a day may have.
const MaxWindows = 3

// MaxHolidays is how many holidays a calendar may have.
const MaxHolidays = 1000

// horizon bounds what is looked through: more than any deadline needs.
const horizon = 10 * 366 * 24 * time.Hour

const (
	minute  = time.Minute
	fullDay = 24 * 60
)

// Window is a part of a local day, in minutes since midnight; To is not in it and is at
// most 24:00.
type Window struct{ From, To int }

// Calendar is a checked calendar; make it with [New].
type Calendar struct {
	location *time.Location
	week     [7][]Window // by time.Weekday
	holidays map[time.Time]bool
}

// Spec describes a calendar in words, as it is stored and shown.
type Spec struct {
	// Zone is the name of a time zone in the IANA database.
	Zone string `json:"zone"`
	// Week has the windows of each weekday, from Sunday.
	Week [7][]SpecWindow `json:"week"`
	// Holidays are dates without working time, as YYYY-MM-DD.
	Holidays []string `json:"holidays,omitempty"`
}

// SpecWindow is a part of a day, as HH:MM of the local clock.
type SpecWindow struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Default is Monday to Friday, 9 to 17 o'clock, UTC.
func Default() Spec {
	s := Spec{Zone: "UTC"}
	for day := time.Monday; day <= time.Friday; day++ {
		s.Week[day] = []SpecWindow{{From: "09:00", To: "17:00"}}
	}
	return s
}

// Fault is what is wrong with a part of a calendar.
type Fault int

// The faults.
const (
	ZoneUnknown Fault = iota + 1
	TimeInvalid
	WindowEmpty
	WindowsOverlap
	TooManyWindows
	NoWindows
	DateInvalid
	TooManyHolidays
)

// Error says which part of a calendar is wrong.
type Error struct {
	Fault Fault
	// Day and Window are of the window that is wrong, by their places; Holiday is the
	// place of the date that is wrong.
	Day     time.Weekday
	Window  int
	Holiday int
	Text    string
}

func (e *Error) Error() string { return e.Text }

// New checks a calendar. The error is an [*Error].
func New(s Spec) (*Calendar, error) {
	c := &Calendar{holidays: make(map[time.Time]bool, len(s.Holidays))}
	var err error
	// An empty name and "Local" are not names of zones.
	if c.location, err = time.LoadLocation(s.Zone); err != nil || s.Zone == "" || s.Zone == "Local" {
		return nil, &Error{Fault: ZoneUnknown, Text: "there is no such time zone; a name is like Europe/Berlin"}
	}
	some := false
	for day, windows := range s.Week {
		fault := func(f Fault, n int, text string) error {
			return &Error{Fault: f, Day: time.Weekday(day), Window: n, Text: text}
		}
		if len(windows) > MaxWindows {
			return nil, fault(TooManyWindows, MaxWindows, fmt.Sprintf("a day has at most %d windows", MaxWindows))
		}
		for n, w := range windows {
			from, okFrom := clock(w.From)
			to, okTo := clock(w.To)
			switch {
			case !okFrom || !okTo || from == fullDay:
				return nil, fault(TimeInvalid, n, "a time is like 09:00; a window may end at 24:00")
			case to <= from:
				return nil, fault(WindowEmpty, n, "a window ends after it starts, on the same day")
			case slices.ContainsFunc(c.week[day], func(o Window) bool { return from < o.To && o.From < to }):
				return nil, fault(WindowsOverlap, n, "the windows of a day do not overlap")
			}
			c.week[day] = append(c.week[day], Window{from, to})
			some = true
		}
		slices.SortFunc(c.week[day], func(a, b Window) int { return a.From - b.From })
	}
	if !some {
		return nil, &Error{Fault: NoWindows, Text: "there is at least one window in the week"}
	}
	if len(s.Holidays) > MaxHolidays {
		return nil, &Error{Fault: TooManyHolidays, Text: fmt.Sprintf("at most %d holidays", MaxHolidays)}
	}
	for n, h := range s.Holidays {
		date, err := time.Parse(time.DateOnly, h)
		if err != nil {
			return nil, &Error{Fault: DateInvalid, Holiday: n, Text: "a date is like 2026-12-25"}
		}
		c.holidays[date] = true
	}
	return c, nil
}

// clock reads HH:MM as minutes since midnight.
func clock(s string) (int, bool) {
	if len(s) != 5 || s[2] != ':' {
		return 0, false
	}
	h, errH := strconv.ParseUint(s[:2], 10, 8)
	m, errM := strconv.ParseUint(s[3:], 10, 8)
	if errH != nil || errM != nil || h > 24 || m > 59 || h == 24 && m > 0 {
		return 0, false
	}
	return int(h)*60 + int(m), true //nolint:gosec // checked above
}

// ErrTooFar says that there is not as much working time within ten years.
var ErrTooFar = errors.New("not as much working time within ten years")

// Add is the first moment at which d of working time has passed since t. Nothing is
// added by d of 0 or less.
func (c *Calendar) Add(t time.Time, d time.Duration) (time.Time, error) {
	if d <= 0 {
		return t, nil
	}
	for from, to := range c.windows(t, t.Add(horizon)) {
		if length := to.Sub(from); length < d {
			d -= length
			continue
		}
		return from.Add(d).In(t.Location()), nil
	}
	return time.Time{}, ErrTooFar
}

// Between is the working time from a to b, 0 if b is not after a. What is more than ten
// years after a does not count.
func (c *Calendar) Between(a, b time.Time) (sum time.Duration) {
	if limit := a.Add(horizon); b.After(limit) {
		b = limit
	}
	for from, to := range c.windows(a, b) {
		sum += to.Sub(from)
	}
	return sum
}

// windows yields the stretches of working time from a to b, in order.
func (c *Calendar) windows(a, b time.Time) func(func(from, to time.Time) bool) {
	return func(yield func(from, to time.Time) bool) {
		// Between two changes of the clock, local time is real time shifted.
		for at := a; at.Before(b); {
			local := at.In(c.location)
			_, offset := local.Zone()
			shift := time.Duration(offset) * time.Second
			end := b
			if _, change := local.ZoneBounds(); !change.IsZero() && change.Before(b) {
				end = change
			}
			// The local clock's time, written as one of UTC.
			wallFrom, wallEnd := at.UTC().Add(shift), end.UTC().Add(shift)
			for day := midnight(wallFrom); day.Before(wallEnd); day = day.Add(fullDay * minute) {
				if c.holidays[day] {
					continue
				}
				for _, w := range c.week[day.Weekday()] {
					from, to := day.Add(time.Duration(w.From)*minute), day.Add(time.Duration(w.To)*minute)
					if from.Before(wallFrom) {
						from = wallFrom
					}
					if to.After(wallEnd) {
						to = wallEnd
					}
					if from.Before(to) && !yield(from.Add(-shift), to.Add(-shift)) {
						return
					}
				}
			}
			at = end
		}
	}
}

func midnight(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
}
