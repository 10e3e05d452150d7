package flow

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse.dev/libs/worktime"
)

// Limits refuse what is over them, of what is to be given. What is to be taken away
// they never refuse.
type Limits struct {
	// MaxDuration is how long access may be; zero for no limit.
	MaxDuration time.Duration `json:"max_duration,omitempty"`
	// MinJustification is how many characters the justification has at least.
	MinJustification int32 `json:"min_justification,omitempty"`
	// Fields are what whoever asks is asked for.
	Fields []Field `json:"fields,omitempty"`
	// WeeklyHours are when access may be asked for, without holidays; nil for always.
	WeeklyHours *worktime.Spec `json:"weekly_hours,omitempty"`
}

// FieldKind is what a field takes.
type FieldKind string

// The kinds.
const (
	TextField   FieldKind = "text"
	NumberField FieldKind = "number" // a decimal, such as -12.5
	DateField   FieldKind = "date"   // YYYY-MM-DD
	ChoiceField FieldKind = "choice" // one of its options
)

// Field is something that whoever asks is asked for.
type Field struct {
	Key      string    `json:"key"`
	Label    string    `json:"label"`
	Help     string    `json:"help,omitempty"`
	Kind     FieldKind `json:"kind"`
	Options  []string  `json:"options,omitempty"`
	Required bool      `json:"required,omitempty"`
}

// maxFieldLength is how many characters a field takes.
const maxFieldLength = 1000

// Refusal is why something is not given, as a reason.
type Refusal string

// The refusals: those of limits, and others.
const (
	TooLong               Refusal = "LONGER_THAN_ALLOWED"
	JustificationTooShort Refusal = "JUSTIFICATION_TOO_SHORT"
	OutsideWeeklyHours    Refusal = "OUTSIDE_WEEKLY_HOURS"
	FieldMissing          Refusal = "FIELD_MISSING"
	FieldInvalid          Refusal = "FIELD_INVALID"

	// ToOthersOnly says that flows give it to their audience alone.
	ToOthersOnly Refusal = "NOT_GIVEN_TO_BENEFICIARY"
	// NotCovered says that the app is closed to what no flow covers.
	NotCovered Refusal = "NOT_COVERED_BY_FLOW"
	// ConditionFailed says that nobody knows whether the flow decides whose turn it is.
	ConditionFailed Refusal = "CONDITION_FAILED"
)

// Excess is what is over a limit.
type Excess struct {
	Refusal Refusal
	// Path is the field of the request that is over it, such as "until".
	Path string
	// Text says what would be within it.
	Text string
	// Metadata has the limit itself, for programs.
	Metadata map[string]string
	// Next is when it would be within it without a change; zero if it never is.
	Next time.Time
}

// Exceeds says what of a request is over the limits; nil if nothing is.
func (l Limits) Exceeds(q Request) (out []Excess) {
	if q.Kind != Grant {
		return nil
	}
	if l.MaxDuration > 0 && (q.Permanent() || q.Length() > l.MaxDuration) {
		out = append(out, Excess{
			TooLong, "until", "for " + words(l.MaxDuration) + " at most, and not for ever", map[string]string{"max_duration": l.MaxDuration.String()}, time.Time{},
		})
	}
	if n := utf8.RuneCountInString(strings.TrimSpace(q.Justification)); n < int(l.MinJustification) {
		out = append(out, Excess{
			JustificationTooShort, "justification", fmt.Sprintf("with a justification of %d characters at least", l.MinJustification),
			map[string]string{"min_justification_length": strconv.Itoa(int(l.MinJustification))},
			time.Time{},
		})
	}
	if is, next := within(l.WeeklyHours, q.CreateTime); !is {
		zone := l.WeeklyHours.Zone
		e := Excess{OutsideWeeklyHours, "", "within the hours of the week that its flow names, in " + zone, map[string]string{"time_zone": zone}, time.Time{}}
		if local, err := time.LoadLocation(zone); err == nil && !next.IsZero() {
			e.Text += ", next from " + next.In(local).Format("Monday 2006-01-02 15:04 MST")
			e.Next, e.Metadata["next_time"] = next, next.UTC().Format(time.RFC3339)
		}
		out = append(out, e)
	}
	if q.Unasked {
		return out
	}
	for _, f := range l.Fields {
		value := strings.TrimSpace(q.Fields[f.Key])
		path := "fields[" + strconv.Quote(f.Key) + "]"
		metadata := map[string]string{"field": f.Key}
		switch why := f.refuse(value); {
		case value == "" && f.Required:
			out = append(out, Excess{FieldMissing, path, fmt.Sprintf("with %q filled in", f.Label), metadata, time.Time{}})
		case value != "" && why != "":
			out = append(out, Excess{FieldInvalid, path, fmt.Sprintf("with %q as %s", f.Label, why), metadata, time.Time{}})
		}
	}
	return out
}

// words is a duration as people say it: in the largest unit of which it is a whole
// number.
func words(d time.Duration) string {
	for _, unit := range []struct {
		name string
		of   time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		switch n := d / unit.of; {
		case d%unit.of != 0:
		case n == 1:
			return "1 " + unit.name
		default:
			return fmt.Sprintf("%d %ss", n, unit.name)
		}
	}
	return d.String()
}

// refuse says what a value would have to be; empty if it is so.
func (f Field) refuse(value string) string {
	switch f.Kind {
	case NumberField:
		if !isDecimal(value) {
			return "a number, such as 12.5"
		}
	case DateField:
		if _, err := time.Parse(time.DateOnly, value); err != nil {
			return "a date, as YYYY-MM-DD"
		}
	case ChoiceField:
		if !slices.Contains(f.Options, value) {
			return "one of " + strings.Join(f.Options, ", ")
		}
	}
	if utf8.RuneCountInString(value) > maxFieldLength {
		return fmt.Sprintf("%d characters at most", maxFieldLength)
	}
	return ""
}

// isDecimal reports whether a word is a number as people write it: no exponent, no
// infinity, no other notation.
func isDecimal(s string) bool {
	s = strings.TrimPrefix(s, "-")
	whole, fraction, dotted := strings.Cut(s, ".")
	digits := func(s string) bool {
		return s != "" && len(s) <= 30 && strings.Trim(s, "0123456789") == ""
	}
	return digits(whole) && (!dotted || digits(fraction))
}

// within reports whether a moment is within weekly hours, and when they begin next if it
// is not. Nobody's hours are always; those of a calendar that cannot be, never.
func within(hours *worktime.Spec, t time.Time) (is bool, next time.Time) {
	if hours == nil {
		return true, next
	}
	c, err := worktime.New(*hours)
	if err != nil {
		return false, next
	}
	if c.Between(t, t.Add(time.Nanosecond)) > 0 {
		return true, next
	}
	if next, err = c.Add(t, time.Nanosecond); err != nil {
		return false, time.Time{}
	}
	return false, next.Add(-time.Nanosecond)
}

// CheckWeeklyHours says what is wrong with the weekly hours, if anything is: the field of
// them, the reason, and what it is in words.
func (l Limits) CheckWeeklyHours() (field, reason, text string) {
	if l.WeeklyHours == nil {
		return "", "", ""
	}
	_, err := worktime.New(*l.WeeklyHours)
	var wrong *worktime.Error
	if !errors.As(err, &wrong) {
		return "", "", ""
	}
	switch day := wrong.Day.String() + ": "; wrong.Fault {
	case worktime.ZoneUnknown:
		return "time_zone", "TIME_ZONE_UNKNOWN", wrong.Text
	case worktime.TimeInvalid:
		return "windows", "TIME_INVALID", day + wrong.Text
	case worktime.WindowEmpty:
		return "windows", "WINDOW_EMPTY", day + wrong.Text
	case worktime.WindowsOverlap:
		return "windows", "WINDOWS_OVERLAP", day + wrong.Text
	case worktime.TooManyWindows:
		return "windows", "TOO_MANY_WINDOWS", day + wrong.Text
	}
	return "windows", "NO_WINDOWS", wrong.Text + "; without weekly hours access may be asked for at any time"
}
