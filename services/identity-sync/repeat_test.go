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
