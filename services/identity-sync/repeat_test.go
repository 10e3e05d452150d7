package identitysync_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/postgres"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

// call is one method that makes something, as any of them is called.
type call func(ctx context.Context, name, requestID string) (proto.Message, error)

func callOf[I, O proto.Message](method func(context.Context, I, ...grpc.CallOption) (O, error), in func(name, requestID string) I) call {
	return func(ctx context.Context, name, requestID string) (proto.Message, error) {
		return method(ctx, in(name, requestID))
	}
}

// Whatever is made is made once for a request_id, and a secret that is shown once is
// not shown again.
func TestRepeatedCreate(t *testing.T) {
	t.Parallel()
	w := start(t)
	admin := w.signUp(t)
	person := admin.provider(t, w, "Directory").create(t, "ned")
	end := timestamppb.New(w.clock.Now().Add(24 * time.Hour))
	for name, create := range map[string]call{
		"environment": callOf(admin.environments.CreateEnvironment, func(name, request string) *identityv1.CreateEnvironmentRequest {
			return &identityv1.CreateEnvironmentRequest{Name: name, RequestId: request}
		}),
		"user": callOf(admin.users.CreateUser, func(name, request string) *identityv1.CreateUserRequest {
			return &identityv1.CreateUserRequest{
				Kind: identityv1.UserKind_USER_KIND_SERVICE, UserName: name, DisplayName: name, AccountableUserId: person, Purpose: "x", EndTime: end, RequestId: request,
			}
		}),
		"source": callOf(admin.sources.CreateSource, func(name, request string) *identityv1.CreateSourceRequest {
			return &identityv1.CreateSourceRequest{Name: name, Kind: identityv1.SourceKind_SOURCE_KIND_SCIM, RequestId: request}
		}),
		"identity provider": callOf(admin.providers.CreateIdentityProvider, func(name, request string) *identityv1.CreateIdentityProviderRequest {
			return &identityv1.CreateIdentityProviderRequest{Name: name, Issuer: "https://idp.example", ClientSecret: "very secret", RequestId: request}
		}),
		"API token": callOf(admin.tokens.CreateApiToken, func(name, request string) *identityv1.CreateApiTokenRequest {
			return &identityv1.CreateApiTokenRequest{Name: name, ExpireTime: end, RequestId: request}
		}),
	} {
		request := id.New().String()
		first, err := create(t.Context(), "one "+name, request)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		token := first.ProtoReflect().Descriptor().Fields().ByName("token")
		if token != nil && first.ProtoReflect().Get(token).String() == "" {
			t.Errorf("%s: no secret", name)
		}
		want := proto.Clone(first)
		if token != nil {
			want.ProtoReflect().Clear(token)
		}
		again, err := create(t.Context(), "one "+name, strings.ToUpper(request))
		if err != nil || !proto.Equal(again, want) {
			t.Errorf("%s, again: %v, %v\nwant %v", name, again, err, want)
		}
		_, err = create(t.Context(), "two "+name, request)
		refused(t, err, codes.FailedPrecondition, "REQUEST_ID_REUSED")

		// At the same time.
		request = id.New().String()
		answers := make([]proto.Message, 2)
		var all sync.WaitGroup
		for i := range answers {
			all.Go(func() {
				var err error
				if answers[i], err = create(t.Context(), "both "+name, request); err != nil {
					t.Errorf("%s, at the same time: %v", name, err)
				}
			})
		}
		all.Wait()
		if token != nil {
			shown := 0
			for _, a := range answers {
				if a.ProtoReflect().Get(token).String() != "" {
					shown++
				}
				a.ProtoReflect().Clear(token)
			}
			if shown != 1 {
				t.Errorf("%s: the secret was shown %d times", name, shown)
			}
		}
		if !proto.Equal(answers[0], answers[1]) {
			t.Errorf("%s, at the same time: two were made: %v", name, answers)
		}
	}
	// No secret is kept for repeated calls.
	var saved []byte
	err := w.DB.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		return tx.QueryRow(ctx, `select string_agg(answer || content, '') from answer`).Scan(&saved)
	})
	if err != nil || len(saved) == 0 {
		t.Fatal(err)
	}
	for _, secret := range []string{"ghi_", "very secret"} {
		if strings.Contains(string(saved), secret) {
			t.Errorf("%s… is in the database", secret)
		}
	}
}

// A sign-up that is repeated makes no second organization, whoever lost the answer. Its
// token is shown once; afterwards the founder comes in by a link.
func TestRepeatedSignUp(t *testing.T) {
	t.Parallel()
	w := start(t)
	nobody := w.nobody(t).organizations
	request := id.New().String()
	in := &identityv1.SignUpRequest{OrganizationName: "Corp", Email: "ada@corp.example", DisplayName: "Ada", RequestId: request}
	first, err := nobody.SignUp(t.Context(), in)
	if err != nil || first.GetToken() == "" {
		t.Fatal(first, err)
	}
	want := proto.CloneOf(first)
	want.Token = ""
	in.RequestId = strings.ToUpper(request)
	if again, err := nobody.SignUp(t.Context(), in); err != nil || !proto.Equal(again, want) {
		t.Errorf("again: %v, %v\nwant %v", again, err, want)
	}
	in.OrganizationName = "Other"
	_, err = nobody.SignUp(t.Context(), in)
	refused(t, err, codes.FailedPrecondition, "REQUEST_ID_REUSED")

	// At the same time.
	in = &identityv1.SignUpRequest{OrganizationName: "Both", Email: "bo@corp.example", DisplayName: "Bo", RequestId: id.New().String()}
	answers := make([]*identityv1.SignUpResponse, 4)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			var err error
			if answers[i], err = nobody.SignUp(t.Context(), in); err != nil {
				t.Errorf("at the same time: %v", err)
			}
		})
	}
	all.Wait()
	shown := 0
	for _, a := range answers {
		if a.GetToken() != "" {
			shown++
		}
		if a.GetOrganization().GetId() != answers[0].GetOrganization().GetId() {
			t.Errorf("two were made: %v", answers)
		}
	}
	if shown != 1 {
		t.Errorf("the token was shown %d times", shown)
	}

	// Others are others', and without a request_id every call makes one.
	in = proto.CloneOf(in)
	ids := map[string]bool{answers[0].GetOrganization().GetId(): true, first.GetOrganization().GetId(): true}
	for _, r := range []string{id.New().String(), "", ""} {
		in.RequestId = r
		made, err := nobody.SignUp(t.Context(), in)
		if err != nil || ids[made.GetOrganization().GetId()] {
			t.Fatalf("with request_id %q: %v, %v", r, made, err)
		}
		ids[made.GetOrganization().GetId()] = true
	}

	// The answer is forgotten, and the organization is not made again.
	err = w.DB.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		_, err := tx.Exec(ctx, `delete from answer`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = nobody.SignUp(t.Context(), &identityv1.SignUpRequest{OrganizationName: "Corp", Email: "ada@corp.example", DisplayName: "Ada", RequestId: request})
	refused(t, err, codes.FailedPrecondition, "REQUEST_ID_REUSED")
}

// Who signs up twice, by two calls that are not one repeated, has two organizations: they
// share nothing, and nobody signs in by a name without saying in which.
func TestSignUpTwice(t *testing.T) {
	t.Parallel()
	w := start(t)
	const twins = 6
	made := make([]*identityv1.SignUpResponse, twins)
	errs := make([]error, twins)
	var all sync.WaitGroup
	for i := range twins {
		client := w.nobody(t).organizations
		all.Go(func() {
			made[i], errs[i] = client.SignUp(t.Context(), &identityv1.SignUpRequest{
				OrganizationName: "Twins", Email: "Tom@twins.example", DisplayName: "Tom", RequestId: id.New().String(),
			})
		})
	}
	all.Wait()
	seen := map[string]bool{}
	for i, r := range made {
		if errs[i] != nil || r.GetToken() == "" {
			t.Fatalf("%v %v", r, errs[i])
		}
		for _, one := range []string{r.GetOrganization().GetId(), r.GetOrganization().GetSignInName(), r.GetUser().GetId()} {
			if seen[one] {
				t.Errorf("%s is that of two", one)
			}
			seen[one] = true
		}
	}
	for i, r := range made {
		p := w.person(t, r.GetToken())
		list, err := p.users.ListUsers(t.Context(), &identityv1.ListUsersRequest{})
		if err != nil || len(list.GetUsers()) != 1 || list.GetUsers()[0].GetId() != made[i].GetUser().GetId() {
			t.Errorf("sees %v, %v", list, err)
		}
	}
	nobody := w.nobody(t).sessions
	_, err := nobody.DevSignIn(t.Context(), &identityv1.DevSignInRequest{UserName: "tom@twins.example"})
	refused(t, err, codes.InvalidArgument, "USER_NAME_AMBIGUOUS")
	for _, r := range made {
		for _, organization := range []string{r.GetOrganization().GetSignInName(), r.GetOrganization().GetId()} {
			got, err := nobody.DevSignIn(t.Context(), &identityv1.DevSignInRequest{UserName: "tom@twins.example", Organization: organization})
			if err != nil || got.GetUser().GetId() != r.GetUser().GetId() {
				t.Errorf("in %s: %v, %v", organization, got, err)
			}
		}
	}
}
