package bus

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

// NotPermittedError says that NATS does not let this user publish to a subject.
type NotPermittedError struct{ Subject string }

func (e *NotPermittedError) Error() string {
	return fmt.Sprintf("NATS does not permit this service to publish to %s: the permissions that NATS has are of another release; "+
		"run \"gatehouse init\" and have NATS read its configuration again", e.Subject)
}

// permissions gives what NATS refuses for want of a permission, of which it tells the
// connection and not the message, to those who publish.
type permissions struct {
	mu         sync.Mutex
	publishers map[chan string]struct{}
}

// join gives every subject that is refused from now on to refused, as far as that has
// room.
func (p *permissions) join(refused chan string) (leave func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.publishers == nil {
		p.publishers = map[chan string]struct{}{}
	}
	p.publishers[refused] = struct{}{}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.publishers, refused)
	}
}

// tell takes an error of the connection, and says whether it is a refusal of an event's
// subject that somebody who publishes has been given.
func (p *permissions) tell(err error) (told bool) {
	subject, ok := notPermitted(err)
	if !ok || !strings.HasPrefix(subject, "access.") && !strings.HasPrefix(subject, "access-json.") {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for refused := range p.publishers {
		select {
		case refused <- subject:
			told = true
		default:
		}
	}
	return told
}

var violation = regexp.MustCompile(`(?i)permissions violation for publish to "([^"]+)"`)

// notPermitted is the subject to which publishing was refused, if err is about that.
func notPermitted(err error) (subject string, ok bool) {
	if !errors.Is(err, nats.ErrPermissionViolation) {
		return "", false
	}
	found := violation.FindStringSubmatch(err.Error())
	if found == nil {
		return "", false
	}
	return found[1], true
}
