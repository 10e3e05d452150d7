package e2e_test

import (
	"math/rand/v2"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// TestKilledServices makes 200 lives of requests while each service, as a
// process of its own, is killed with SIGKILL at random moments and started
// again. At the end every request is in its right final state, there is one
// account for each person, no grant twice, and the audit is complete.
//
// B-RUN-02, B-RUN-03, B-PRV-04, B-REQ-13.
func TestKilledServices(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: runs whole processes for a minute")
	}
	t.Parallel()
	c := startCluster(t, embeddedStores(t))
	l := prepareLives(t, c)

	// B-USR-20, in part: somebody gets in by a link that is made beside identity-sync.
	beside := exec.CommandContext(t.Context(), c.services["identity-sync"].bin, "sign-in-link", "mia@corp.example")
	beside.Env = append(os.Environ(), c.services["identity-sync"].env...)
	signInByLink(t, c.base, "mia@corp.example", beside)

	stopKilling := c.killAtRandom(t)
	l.begin(t).Wait()
	kills := stopKilling()
	t.Logf("%d lives, %d kills: %v", lifeCount, sum(kills), kills)
	if t.Failed() {
		return
	}
	l.check(t)
}

// killAtRandom kills one service after the other, each time after a random
// pause and at whatever it is doing, and starts it again, until stop is called,
// which says how often each was killed.
func (c *cluster) killAtRandom(t testing.TB) (stop func() map[string]int) {
	done, ended := make(chan struct{}), make(chan struct{})
	kills := map[string]int{}
	go func() {
		defer close(ended)
		for {
			select {
			case <-done:
				return
			case <-time.After(100*time.Millisecond + rand.N(400*time.Millisecond)):
			}
			n := clusterNames[rand.IntN(len(clusterNames))]
			m := c.services[n]
			_ = m.proc.cmd.Process.Signal(syscall.SIGKILL)
			_ = m.proc.cmd.Wait()
			m.proc.killed = true
			kills[n]++
			time.Sleep(rand.N(200 * time.Millisecond)) // away for a moment
			m.proc = start(t, m.bin, m.env...)
		}
	}()
	return func() map[string]int {
		close(done)
		<-ended
		return kills
	}
}

func sum(m map[string]int) (n int) {
	for _, v := range m {
		n += v
	}
	return n
}
