package command

import (
	"cmp"
	"context"
	"crypto/rand"
	"regexp"
	"strings"

	"github.com/google/uuid"

	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/idempotency"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	"gatehouse.dev/services/identity-sync/internal/convert"
	"gatehouse.dev/services/identity-sync/internal/lifecycle"
	"gatehouse.dev/services/identity-sync/internal/store"
)

// SignUp is a new organization and its first admin.
type SignUp struct {
	// ID is what the organization is to have. That there is one is REQUEST_ID_REUSED.
	ID                                   uuid.UUID
	OrganizationName, Email, DisplayName string
	// Session is the admin's.
	Session NewSession
}

// SignUp creates an organization with one environment, its first admin and a
// session for them.
func (c *Commands) SignUp(ctx context.Context, in SignUp) (store.Organization, store.User, error) {
	if err := checkUserName("email", in.Email); err != nil {
		return store.Organization{}, store.User{}, err
	}
	org := store.Organization{ID: in.ID, Name: in.OrganizationName, SignInName: signInName(in.OrganizationName), Version: 1}
	in.Session.Method, in.Session.Lifetime = bySignUp, c.sessions.Lifetime
	u, err := c.signUp(ctx, in, &org)
	for tries := 0; tries < 3 && isTaken(err); tries++ {
		org.SignInName = signInName(in.OrganizationName) + "-" + strings.ToLower(rand.Text()[:5])
		u, err = c.signUp(ctx, in, &org)
	}
	if name, _ := postgres.Constraint(err); name == "organization_pkey" {
		err = idempotency.Reused()
	}
	return org, u, err
}

func isTaken(err error) bool {
	name, _ := postgres.Constraint(err)
	return name == signInNameUnique
}

// validSignInName is what a sign-in name that somebody chooses looks like, as those
// that are made here do.
var validSignInName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// foldSignInName is a sign-in name as it is stored, of what somebody types.
func foldSignInName(typed string) string { return strings.ToLower(strings.TrimSpace(typed)) }

var notInName = regexp.MustCompile(`[^a-z0-9]+`)

// signInName is what people find an organization by who are about to sign in.
func signInName(organization string) string {
	const most = 60
	name := strings.Trim(notInName.ReplaceAllString(strings.ToLower(organization), "-"), "-")
	return cmp.Or(strings.Trim(name[:min(len(name), most)], "-"), "organization")
}

func (c *Commands) signUp(ctx context.Context, in SignUp, org *store.Organization) (u store.User, err error) {
	err = c.change(ctx, scope.Organization(org.ID), nil, func(ctx context.Context, tx *transaction) error {
		org.CreateTime = tx.now
		o := lifecycle.Join(lifecycle.Profile{UserName: in.Email, DisplayName: in.DisplayName, Email: in.Email}, "", lifecycle.Admin, true)
		u = store.User{
			User: o.User, ID: id.New(), OrganizationID: org.ID, Kind: store.Employee, CreateTime: tx.now, UpdateTime: tx.now,
		}
		first := store.Environment{ID: id.New(), OrganizationID: org.ID, Name: org.Name, CreateTime: tx.now, UpdateTime: tx.now, Version: 1}
		if err := store.InsertOrganization(ctx, tx.Tx, *org, first); err != nil {
			return err
		}
		if err := store.InsertUser(ctx, tx.Tx, u, []string{in.Email}); err != nil {
			return err
		}
		tx.actor = event.UserActor(u.ID.String(), u.DisplayName)
		tx.emit(org.ID, &eventv1.OrganizationCreated{Context: tx.about("", org.Version), Organization: convert.Organization(*org)})
		tx.emitEnvironment(first, true)
		tx.emitUser(u, o)
		if _, err := tx.startSession(ctx, u, in.Session); err != nil {
			return err
		}
		// Without the token.
		return idempotency.Save(ctx, tx.Tx, &identityv1.SignUpResponse{Organization: convert.Organization(*org), User: convert.User(u)})
	})
	return u, err
}
