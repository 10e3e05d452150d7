package lifecycle

import "errors"

// State is where a person stands.
type State string

// The states of a user.
const (
	Active    State = "active"
	Suspended State = "suspended"
	Removed   State = "removed"
)

// Role is what a user may do in Gatehouse itself.
type Role string

// The roles.
const (
	Admin       Role = "admin"
	ITAdmin     Role = "it_admin"
	RiskManager Role = "risk_manager"
	Member      Role = "member"
	External    Role = "external"
)

// Errors of rules. A store turns them into what callers read.
var (
	// ErrRemoved says that somebody who left cannot be changed.
	ErrRemoved = errors.New("the user has been removed")
	// ErrPresent says that only somebody who left can come back.
	ErrPresent = errors.New("the user is there")
	// ErrRoleEnvironment says that a user of an environment holds a role there and
	// nowhere else.
	ErrRoleEnvironment = errors.New("a user of an environment holds a role there only")
	// ErrRoleProtected says that a source would change who somebody is who holds a
	// role in Gatehouse.
	ErrRoleProtected = errors.New("the user holds a role in Gatehouse")
	// ErrLastAdmin says that the organization would have no admin left.
	ErrLastAdmin = errors.New("the last admin of the organization")
)

// Profile is what is known of a person. Field names of events are those of
// gatehouse.identity.v1.User.
type Profile struct {
	ExternalID  string
	UserName    string
	DisplayName string
	GivenName   string
	FamilyName  string
	Email       string
	Title       string
	Department  string
	ManagerID   string
}

// diff names the fields that differ.
func (p Profile) diff(q Profile) []string {
	var names []string
	for _, f := range []struct {
		name string
		a, b string
	}{
		{"external_id", p.ExternalID, q.ExternalID},
		{"user_name", p.UserName, q.UserName},
		{"display_name", p.DisplayName, q.DisplayName},
		{"given_name", p.GivenName, q.GivenName},
		{"family_name", p.FamilyName, q.FamilyName},
		{"email", p.Email, q.Email},
		{"title", p.Title, q.Title},
		{"department", p.Department, q.Department},
		{"manager_id", p.ManagerID, q.ManagerID},
	} {
		if f.a != f.b {
			names = append(names, f.name)
		}
	}
	return names
}

// User is what the rules look at.
type User struct {
	Profile
	State State
	Role  Role
	// EnvironmentID is the environment the user belongs to, RoleEnvironmentID
	// the one in which the role is held; empty for the whole organization.
	EnvironmentID, RoleEnvironmentID string
	// JoinCount counts how often the person has come, from 1.
	JoinCount int32
	// Joined says that the person was active at some time of this join count, and
	// that this was emitted.
	Joined bool
	// Version counts up with every change.
	Version int64
	// TimedOut says of somebody removed that it was for being suspended for too long, and
	// that their source has not said since that they are gone.
	TimedOut bool
}

// admin reports whether the user is one that the organization can be run by.
func (u User) admin() bool {
	return u.State == Active && u.Role == Admin && u.RoleEnvironmentID == ""
}

// privileged reports whether the role allows more than to ask for oneself and to
// decide what one is asked.
func (u User) privileged() bool {
	return u.Role == Admin || u.Role == ITAdmin || u.Role == RiskManager
}

// sameIdentity reports whether two profiles have the same of what somebody is
// found by at their first sign-in, and written to.
func (p Profile) sameIdentity(q Profile) bool {
	return p.ExternalID == q.ExternalID && p.UserName == q.UserName && p.Email == q.Email
}

// EventName is the name of an event of a user.
type EventName string

// The events.
const (
	UserJoined    EventName = "joined"
	UserUpdated   EventName = "updated"
	UserSuspended EventName = "suspended"
	UserRemoved   EventName = "removed"
)

// Event is an event to emit.
type Event struct {
	Name EventName
	// Version is the user's after this event.
	Version int64
	// Changed names what changed, of UserUpdated.
	Changed []string
}

// Outcome is what becomes of a user.
type Outcome struct {
	Before, User User
	Events       []Event
	// EndSessions says that the user must sign in again, if at all.
	EndSessions bool
	// Leaves says that the user's tokens end, and all memberships.
	Leaves bool
}

// Changed reports whether there is anything to write.
func (o Outcome) Changed() bool { return o.User != o.Before }

// RoleChanged reports whether somebody who was there has another role now.
func (o Outcome) RoleChanged() bool {
	return o.Before.Role != "" && (o.Before.Role != o.User.Role || o.Before.RoleEnvironmentID != o.User.RoleEnvironmentID)
}

// GainsRole reports whether the user may now do more than a member.
func (o Outcome) GainsRole() bool { return !o.Before.privileged() && o.User.privileged() }

// LessAdmin reports whether an admin may not do any more all that they could.
func (o Outcome) LessAdmin() bool {
	return o.Before.Role == Admin && (o.EndSessions || o.RoleChanged())
}

// LosesAdmin reports whether the organization has one admin less, so that
// [KeepAdmin] must be asked.
func (o Outcome) LosesAdmin() bool { return o.Before.admin() && !o.User.admin() }

// KeepAdmin holds that an organization keeps an active admin. others is how
// many it has besides this user.
func KeepAdmin(o Outcome, others int) error {
	if o.LosesAdmin() && others == 0 {
		return ErrLastAdmin
	}
	return nil
}

// Join is the outcome of a new user, who belongs to an environment or, if that is empty, to
// the organization.
func Join(p Profile, environmentID string, role Role, active bool) Outcome {
	u := User{Profile: p, EnvironmentID: environmentID, RoleEnvironmentID: environmentID, Role: role, JoinCount: 1}
	return enter(User{}, u, active)
}

// Rejoin is the outcome of a user who had left and is there again.
func Rejoin(u User, p Profile, active bool) (Outcome, error) {
	if u.State != Removed {
		return Outcome{}, ErrPresent
	}
	next := u
	next.Profile, next.Role, next.RoleEnvironmentID, next.TimedOut = p, Member, u.EnvironmentID, false
	if u.Joined {
		next.JoinCount, next.Joined = u.JoinCount+1, false
	}
	return enter(u, next, active), nil
}

func enter(before, u User, active bool) Outcome {
	o := Outcome{Before: before, User: u}
	if active {
		o.User.State, o.User.Joined = Active, true
		o.emit(UserJoined, nil)
	} else {
		o.User.State = Suspended
		o.emit(UserSuspended, nil)
	}
	return o
}

// Update is a person as their source now describes them, and whether switched
// on. silent says that something changed which only the source gets to see, so
// that the version increases also when no event is emitted.
//
// Who runs a source does not thereby become somebody with a role in Gatehouse:
// what identifies such a user stays. They can leave, though.
//
// Who was removed for being suspended for too long is still there for the source, which
// has not removed them: switched on, they come back; else only the source gets to see
// what changed.
func Update(u User, p Profile, active, silent bool) (Outcome, error) {
	switch {
	case u.State == Removed && u.TimedOut && active:
		return Rejoin(u, p, true)
	case u.State == Removed && u.TimedOut:
		o := Outcome{Before: u, User: u}
		o.User.Profile = p
		o.User.Version++
		return o, nil
	case u.State == Removed:
		return Outcome{}, ErrRemoved
	case u.privileged() && !u.sameIdentity(p):
		return Outcome{}, ErrRoleProtected
	}
	o := Outcome{Before: u, User: u}
	o.User.Profile = p
	changed := u.diff(p)
	switch {
	case u.State == Active && !active:
		o.User.State, o.EndSessions = Suspended, true
		o.emit(UserSuspended, nil)
	case u.State == Suspended && active && !u.Joined:
		o.User.State, o.User.Joined = Active, true
		o.emit(UserJoined, nil)
		return o, nil // joined says all
	case u.State == Suspended && active:
		o.User.State = Active
		changed = append(changed, "state")
	}
	if len(changed) > 0 {
		o.emit(UserUpdated, changed)
	}
	if len(o.Events) == 0 && silent {
		o.User.Version++
	}
	return o, nil
}

// Remove is somebody leaving.
func Remove(u User) (Outcome, error) {
	if u.State == Removed {
		return Outcome{}, ErrRemoved
	}
	o := Outcome{Before: u, User: u, EndSessions: true, Leaves: true}
	o.User.State = Removed
	o.emit(UserRemoved, nil)
	return o, nil
}

// TimeOut is somebody leaving for being suspended for too long.
func TimeOut(u User) (Outcome, error) {
	o, err := Remove(u)
	o.User.TimedOut = err == nil
	return o, err
}

// Release is somebody whose source is gone, and who stays.
func Release(u User) (Outcome, error) {
	if u.State == Removed {
		return Outcome{}, ErrRemoved
	}
	o := Outcome{Before: u, User: u}
	o.emit(UserUpdated, []string{"source_id"})
	return o, nil
}

// HandOver is somebody whom no source owned, and one does now, which calls them by an
// externalId of its own.
func HandOver(u User, externalID string) (Outcome, error) {
	if u.State == Removed {
		return Outcome{}, ErrRemoved
	}
	o := Outcome{Before: u, User: u}
	o.User.ExternalID = externalID
	o.emit(UserUpdated, append([]string{"source_id"}, u.diff(o.User.Profile)...))
	return o, nil
}

// SetRole is another role in Gatehouse, held in an environment or, if that is
// empty, in all that the user belongs to.
func SetRole(u User, role Role, environmentID string) (Outcome, error) {
	switch {
	case u.State == Removed:
		return Outcome{}, ErrRemoved
	case environmentID == "":
		environmentID = u.EnvironmentID
	case u.EnvironmentID != "" && u.EnvironmentID != environmentID:
		return Outcome{}, ErrRoleEnvironment
	}
	o := Outcome{Before: u, User: u}
	var changed []string
	if u.Role != role {
		o.User.Role = role
		changed = append(changed, "role")
	}
	if u.RoleEnvironmentID != environmentID {
		o.User.RoleEnvironmentID = environmentID
		changed = append(changed, "role_environment_id")
	}
	if len(changed) > 0 {
		o.emit(UserUpdated, changed)
	}
	return o, nil
}

func (o *Outcome) emit(name EventName, changed []string) {
	o.User.Version++
	o.Events = append(o.Events, Event{Name: name, Version: o.User.Version, Changed: changed})
}
