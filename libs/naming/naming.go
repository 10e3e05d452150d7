// Package naming lets callers name people by user name where a request takes the id of
// a user: in the fields with the option gatehouse.identity.v1.user_id, however deep in
// the request.
//
// A service prepares each request with it (rpc.ServerConfig's Prepare), after the caller
// is known to be allowed to call and before the request is validated, so that all behind
// knows ids alone. What can be read as an id is never looked up, whoever has it as a
// user name. A name stands for whoever has it, in any case and width, and has not left,
// among those whom UserService.GetUser shows to the caller, with a token that is narrowed
// to scopes only if people:read is one, and who belong where the caller acts: in an environment its people, in the whole organization those of no
// environment. So no environment decides whom a name means elsewhere: its people are
// named by id there. And a name tells nobody who there is: of others an unknown name and
// that of somebody are answered alike. Like any transaction for a caller, the look-up
// begins with their admission.
//
// Services other than identity-sync know people by copies. Somebody who is not there is
// waited for until all that was said has been handled, for two seconds at most, and is then
// unknown or, if they may be on their way, NOT_KNOWN_YET.
//
// A name is looked up each time, before a request_id is: a repeated call (see package
// idempotency) that names somebody who has left since is refused, and one whose name is
// somebody else's by now has other content than the first. By id it gets the first answer.
//
// The package does not read user names in filters, and decides nothing about users.
package naming

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/copies"
	"gatehouse.dev/libs/plaintext"
	"gatehouse.dev/libs/postgres"
)

// Reasons of errors.
const (
	ReasonUnknown   = "USER_UNKNOWN"
	ReasonAmbiguous = "USER_AMBIGUOUS"
	reasonNotFound  = "USER_NOT_FOUND"
)

const (
	// maxNames bounds how many different names a request may have: more than any
	// request may name people.
	maxNames = 2000
	// maxName is the longest user name there can be, in characters.
	maxName = 512
	// maxFaults bounds how many fields an error names.
	maxFaults = 50
	// maxShown bounds what is shown of a name that nobody has, in characters.
	maxShown = 100
)

// People are those whom requests to a service may name.
type People struct {
	db       *postgres.DB
	progress *copies.Progress
	lookUp   string
	plans    map[string]*plan
}

// Among are the people of a table of the database with the columns id, organization_id,
// environment_id and user_name_form. here is the SQL condition under which one, u, has
// not left. progress tells who may be on their way; nil for identity-sync, which knows
// everybody.
func Among(db *postgres.DB, table, here string, progress *copies.Progress) *People {
	return &People{db: db, progress: progress, plans: plansOf(nil), lookUp: `
with named as materialized (
    select n.i, lower(normalize(n.name, NFKC)) as form from unnest($1::text[]) with ordinality n (name, i))
select n.i, u.id from named n cross join lateral (
    select distinct case when u.id = $3 or $4 and u.environment_id = $5 then u.id end from ` + table + ` u
    where u.user_name_form = n.form and u.organization_id = $2 and ` + here + `) u (id)
where u.id is not null or $4 and $5::uuid = '00000000-0000-0000-0000-000000000000'
order by n.i, u.id`}
}

// Prepare puts ids in the place of user names in the request of a method, such as
// "/gatehouse.identity.v1.UserService/GetUser". Of services and of nobody it leaves the
// request as it is. See the option for its errors.
func (p *People) Prepare(ctx context.Context, method string, req proto.Message) error {
	plan := p.plans[method]
	if plan == nil || !plan.node.hasName(req.ProtoReflect()) {
		return nil
	}
	by, ok := authz.From(ctx)
	if !ok || by.IsService() {
		return nil
	}
	var uses []use
	plan.node.collect(req.ProtoReflect(), "", &uses)
	names := slices.Compact(slices.Sorted(func(yield func(string) bool) {
		for _, u := range uses {
			if couldBe(u.name) && !yield(u.name) {
				return
			}
		}
	}))
	if len(names) > maxNames {
		return apierr.New(codes.InvalidArgument, "TOO_MANY_NAMES", "a request may name at most %d people by user name", maxNames)
	}
	found, err := p.find(ctx, by, names)
	if err != nil {
		return err
	}
	return plan.replace(uses, found, by)
}

// couldBe says of a name whether somebody could have it.
func couldBe(name string) bool {
	return len(name) <= 4*maxName && plaintext.Hidden(name) == ""
}

// found is what is known of names.
type found struct {
	// ids are of whoever a name stands for.
	ids map[string][]uuid.UUID
	// elsewhere are the names that somebody of an environment has, if the caller acts in
	// the whole organization.
	elsewhere map[string]bool
}

// find looks for all names, and waits for those who may be on their way.
func (p *People) find(ctx context.Context, by authz.Caller, names []string) (found, error) {
	var all found
	if len(names) == 0 {
		return all, nil
	}
	look := func() (complete bool, err error) {
		all, err = p.look(ctx, by, names)
		return len(all.ids) == len(names), err
	}
	// Nobody is on their way to those who see nobody.
	if p.progress == nil || !by.SeesPeople() {
		_, err := look()
		return all, err
	}
	_, err := p.progress.Await(ctx, look)
	return all, err
}

func (p *People) look(ctx context.Context, by authz.Caller, names []string) (found, error) {
	var all found
	err := p.db.InRead(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		all = found{ids: map[string][]uuid.UUID{}, elsewhere: map[string]bool{}}
		rows, err := tx.Query(ctx, p.lookUp, names, by.OrganizationID, by.UserID, by.SeesPeople(), by.EnvironmentID)
		if err != nil {
			return err
		}
		var i int
		var id uuid.NullUUID
		_, err = pgx.ForEachRow(rows, []any{&i, &id}, func() error {
			if name := names[i-1]; id.Valid {
				all.ids[name] = append(all.ids[name], id.UUID)
			} else {
				all.elsewhere[name] = true
			}
			return nil
		})
		return err
	})
	if err != nil {
		return found{}, fmt.Errorf("look for people by user name: %w", err)
	}
	return all, nil
}

// replace puts the ids in the place of names. Nobody and several are errors.
func (p *plan) replace(uses []use, all found, by authz.Caller) error {
	var out *apierr.Error
	for _, u := range uses {
		ids := all.ids[u.name]
		if len(ids) == 1 {
			u.set(ids[0].String())
			continue
		}
		reason, text := ReasonUnknown, fmt.Sprintf("%q is neither an id nor the user name of somebody here", shown(u.name))
		switch {
		case by.Scopes != "" && !by.SeesPeople():
			text += " whom the token shows: without the scope people:read people are named by id"
		case all.elsewhere[u.name]:
			text = fmt.Sprintf("%q is the user name of nobody of the organization itself: people of its environments are named by id", shown(u.name))
		}
		switch {
		case len(ids) > 1:
			reason, text = ReasonAmbiguous, fmt.Sprintf("%q is the user name of several people, so that one is to be named by id: %s", shown(u.name), list(ids))
		case u.path != p.subject:
		case all.elsewhere[u.name]:
			return apierr.NotFound(reasonNotFound, "there is no such user of the organization itself: people of its environments are named by id")
		default:
			return apierr.NotFound(reasonNotFound, "there is no such user")
		}
		switch {
		case out == nil:
			out = apierr.InvalidField(u.path, reason, "%s", text)
		case len(out.Fields) < maxFaults:
			out = out.WithField(u.path, reason, "%s", text)
		}
	}
	if out != nil {
		return out
	}
	return nil
}

func shown(name string) string {
	if runes := []rune(name); len(runes) > maxShown {
		return string(runes[:maxShown]) + "…"
	}
	return name
}

// list is some of the ids: a user name is shared by few.
func list(ids []uuid.UUID) string {
	const most = 10
	var out []string
	for _, id := range ids[:min(len(ids), most)] {
		out = append(out, id.String())
	}
	return strings.Join(out, ", ")
}
