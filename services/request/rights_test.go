package request_test

import (
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/rpctest"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// B-USR-19, in part: once the service has heard that somebody was suspended, or
// that a session has ended, a signed token from before neither reads nor writes,
// also beside others at the same moment, who are not kept from anything.
func TestLostRightsStopAtOnce(t *testing.T) {
	t.Parallel()
	w := start(t)
	held := func(name string) requestv1.RequestServiceClient {
		c := w.caller(name)
		c.UserVersion = w.users[name].GetVersion()
		return requestv1.NewRequestServiceClient(w.Conn(t, c))
	}
	ann, ian, ben := held("ann"), held("ian"), held("ben")
	for _, c := range []requestv1.RequestServiceClient{ann, ian, ben} {
		if _, err := c.ListRequests(t.Context(), &requestv1.ListRequestsRequest{}); err != nil {
			t.Fatal(err)
		}
	}
	next := func(name string) *identityv1.User {
		u := proto.CloneOf(w.users[name])
		u.Version++
		return u
	}
	suspended, signedOut := next("ann"), next("ian")
	suspended.State = identityv1.UserState_USER_STATE_SUSPENDED
	w.publish(t, suspended.GetId(), &eventv1.UserSuspended{User: suspended})
	w.publish(t, w.org.String(), &eventv1.SessionEnded{Context: &eventv1.Context{Version: signedOut.GetVersion()}, User: signedOut})
	w.handled(t)
	var all sync.WaitGroup
	try := func(want string, call func() error) {
		all.Go(func() {
			if err := call(); rpctest.Reason(err) != want {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
	for range 10 {
		for _, c := range []requestv1.RequestServiceClient{ann, ian} {
			try("TOKEN_STALE", func() error {
				_, err := c.CreateRequest(t.Context(), w.grantOf("viewer"))
				return err
			})
			try("TOKEN_STALE", func() error {
				_, err := c.ListRequests(t.Context(), &requestv1.ListRequestsRequest{})
				return err
			})
		}
	}
	for _, what := range []string{"account", "editor", "viewer"} {
		try("", func() error {
			_, err := ben.CreateRequest(t.Context(), w.grantOf(what))
			return err
		})
	}
	all.Wait()
	if got := emitted[*eventv1.RequestSubmitted](t, w); len(got) != 3 {
		t.Errorf("%d requests were submitted, want ben's 3", len(got))
	}

	// A token made of the user as the user is now is good.
	w.users["ian"] = signedOut
	if _, err := held("ian").CreateRequest(t.Context(), w.grantOf("viewer")); err != nil {
		t.Error(err)
	}
}
