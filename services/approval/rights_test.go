package approval_test

import (
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"gatehouse.dev/libs/rpctest"
	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// B-USR-19, in part: a reviewer decides nothing with a signed token from before
// the end of a session, not even together with others who may.
func TestLostRightsStopAtOnce(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.flow(t, nil)
	requests := make([]*requestv1.Request, 8)
	for n := range requests {
		requests[n] = w.request("ann", "ann")
		w.submit(t, requests[n])
	}
	tasks := make([]*approvalv1.Task, len(requests))
	for n, r := range requests {
		tasks[n] = w.asked(t, r, 1).GetTasks()[0]
	}
	before := w.caller("mia")
	before.UserVersion = w.users["mia"].GetVersion()
	held := approvalv1.NewTaskServiceClient(w.Conn(t, before))
	mia := proto.CloneOf(w.users["mia"])
	mia.Version++
	w.Publish(t, w.org, w.org, &eventv1.SessionEnded{Context: &eventv1.Context{Version: mia.GetVersion()}, User: mia})
	w.handled(t)
	var all sync.WaitGroup
	for n, task := range tasks {
		client, want := held, "TOKEN_STALE"
		if n%2 == 0 {
			client, want = w.tasks(t, "mia"), ""
		}
		all.Go(func() {
			if _, err := client.ApproveTask(t.Context(), &approvalv1.ApproveTaskRequest{Id: task.GetId()}); rpctest.Reason(err) != want {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
	all.Wait()
	w.drained(t)
	for n, r := range requests {
		if decided := w.emitted(r.GetId())["ApprovalGranted"]; decided != 1-n%2 {
			t.Errorf("request %d was granted %d times", n, decided)
		}
	}
}
