package approval_test

import (
	"sync"
	"testing"
	"time"

	"gatehouse.dev/libs/servicetest"

	approvalv1 "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

// BenchmarkLife takes requests through two steps, 32 at a time: submitted,
// asked, approved, asked, approved, granted.
func BenchmarkLife(b *testing.B) {
	w := start(b)
	w.flow(b, func(in *approvalv1.FlowInput) {
		in.Steps = append(in.Steps, step("Approvers", approvalv1.ReviewerKind_REVIEWER_KIND_APP_APPROVERS))
	})
	mia, pia := w.tasks(b, "mia"), w.tasks(b, "pia")
	requests := make([]*requestv1.Request, b.N)
	for i := range requests {
		requests[i] = w.request("ann", "ann")
	}
	w.handled(b)
	b.ResetTimer()
	began := time.Now()
	for _, r := range requests {
		w.submit(b, r)
	}
	submitted := time.Now()
	asked := make(map[string][2]string, b.N)
	for len(asked) < b.N {
		for _, e := range servicetest.All[*eventv1.ApprovalRequested](w.Harness) {
			asked[e.GetRequestId()] = [2]string{e.GetTasks()[0].GetId()}
		}
		time.Sleep(time.Millisecond)
	}
	opened := time.Now()
	work := make(chan string)
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			for id := range work {
				if _, err := mia.ApproveTask(b.Context(), &approvalv1.ApproveTaskRequest{Id: id}); err != nil {
					b.Errorf("approve: %v", err)
				}
			}
		})
	}
	for _, ids := range asked {
		work <- ids[0]
	}
	close(work)
	all.Wait()
	first := time.Now()
	for len(servicetest.All[*eventv1.ApprovalDecided](w.Harness)) < b.N {
		time.Sleep(time.Millisecond)
	}
	relayed := time.Now()
	work = make(chan string)
	for range 32 {
		all.Go(func() {
			for id := range work {
				if _, err := pia.ApproveTask(b.Context(), &approvalv1.ApproveTaskRequest{Id: id}); err != nil {
					b.Errorf("approve: %v", err)
				}
			}
		})
	}
	for _, e := range servicetest.All[*eventv1.ApprovalDecided](w.Harness) {
		work <- of(b, e.GetNextTasks(), "pia").GetId()
	}
	close(work)
	all.Wait()
	last := time.Now()
	per := func(name string, d time.Duration) {
		b.ReportMetric(float64(d.Microseconds())/float64(b.N), "µs/"+name)
	}
	per("publish", submitted.Sub(began))
	per("opened", opened.Sub(began))
	per("first", first.Sub(opened))
	per("relayed", relayed.Sub(first))
	per("last", last.Sub(relayed))
}
