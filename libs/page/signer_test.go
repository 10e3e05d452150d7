package page_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/page"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
)

// A page token is good for the list that it is of, and whatever size of page.
func TestTokensAreOfOneList(t *testing.T) {
	t.Parallel()
	signer, err := page.NewSigner([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	other, err := page.NewSigner([]byte(strings.Repeat("o", 32)))
	if err != nil {
		t.Fatal(err)
	}
	who := authz.WithCaller(t.Context(), authz.Caller{Subject: "ada"})
	list := func(s page.Signer, ctx context.Context, method string, in *identityv1.ListUsersRequest) (got, next string, err error) {
		res, err := s.Intercept(ctx, in, &grpc.UnaryServerInfo{FullMethod: method}, func(_ context.Context, req any) (any, error) {
			got = req.(*identityv1.ListUsersRequest).GetPageToken()
			return &identityv1.ListUsersResponse{NextPageToken: "inner"}, nil
		})
		if err != nil {
			return got, "", err
		}
		return got, res.(*identityv1.ListUsersResponse).GetNextPageToken(), nil
	}
	_, token, err := list(signer, who, "/Users", &identityv1.ListUsersRequest{Query: "a", PageSize: 10})
	if err != nil || !strings.HasSuffix(token, "inner") || token == "inner" {
		t.Fatalf("%q %v", token, err)
	}
	asked := &identityv1.ListUsersRequest{Query: "a", PageSize: 20, PageToken: token}
	if got, again, err := list(signer, who, "/Users", asked); err != nil || got != "inner" || again != token || asked.GetPageToken() != token {
		t.Errorf("the next page: %q %q %v", got, again, err)
	}
	for name, f := range map[string]func() error{
		"another query": func() error {
			_, _, err := list(signer, who, "/Users", &identityv1.ListUsersRequest{Query: "b", PageToken: token})
			return err
		},
		"another filter": func() error {
			_, _, err := list(signer, who, "/Users", &identityv1.ListUsersRequest{Query: "a", PageToken: token, Filter: "email = a"})
			return err
		},
		"another order": func() error {
			_, _, err := list(signer, who, "/Users", &identityv1.ListUsersRequest{Query: "a", PageToken: token, OrderBy: "createTime"})
			return err
		},
		"another list": func() error {
			_, _, err := list(signer, who, "/Groups", &identityv1.ListUsersRequest{Query: "a", PageToken: token})
			return err
		},
		"somebody else": func() error {
			_, _, err := list(signer, authz.WithCaller(t.Context(), authz.Caller{Subject: uuid.NewString()}), "/Users", &identityv1.ListUsersRequest{Query: "a", PageToken: token})
			return err
		},
		"another place": func() error {
			_, _, err := list(signer, who, "/Users", &identityv1.ListUsersRequest{Query: "b", PageToken: token[:len(token)-1] + "x"})
			return err
		},
		"another key": func() error {
			_, _, err := list(other, who, "/Users", &identityv1.ListUsersRequest{Query: "a", PageToken: token})
			return err
		},
		"not signed": func() error {
			_, _, err := list(signer, who, "/Users", &identityv1.ListUsersRequest{Query: "a", PageToken: page.Encode("a", uuid.NewString())})
			return err
		},
		"short": func() error {
			_, _, err := list(signer, who, "/Users", &identityv1.ListUsersRequest{Query: "a", PageToken: "x"})
			return err
		},
	} {
		if err := f(); !apierr.HasReason(err, "PAGE_TOKEN_INVALID") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A signed token is good for the list that it was signed for, and as it was.
func TestSignedTokens(t *testing.T) {
	t.Parallel()
	signer, err := page.NewSigner([]byte(strings.Repeat("k", 32)))
	if err != nil {
		t.Fatal(err)
	}
	signed := signer.Sign("users of a", "token")
	if token, ok := signer.Verify("users of a", signed); !ok || token != "token" {
		t.Errorf("%q %t", token, ok)
	}
	for name, tt := range map[string]struct{ list, signed string }{
		"another list":  {"users of b", signed},
		"another token": {"users of a", signed[:len(signed)-1] + "x"},
		"longer":        {"users of a", signed + "x"},
		"moved":         {"users of a\x00to", signed[:len(signed)-5] + "ken"},
		"not signed":    {"users of a", "token"},
		"empty":         {"users of a", ""},
	} {
		if token, ok := signer.Verify(tt.list, tt.signed); ok {
			t.Errorf("%s: %q is taken", name, token)
		}
	}
}
