// Package busauth says who may do what on the bus.
//
// A service may publish the events that it says, by the option service of
// gatehouse.event.v1.EventType, and no other; read the stream through a consumer
// of its own name; and make the stream if it is absent. One service, [Keeper], may
// change how the stream is kept. Nobody may purge or delete it, or a message of it.
// An outside subscriber reads the events of one organization, live or through a
// consumer of its own name, and the same in JSON where they are made: [Keeper]
// alone makes them.
//
// Answers come to an inbox that only the user itself may listen to: [InboxPrefix].
// The embedded server takes users as they are here; [Config] writes them for a
// NATS server that runs by itself.
package busauth

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/event"
	_ "gatehouse.dev/proto/gen/gatehouse/event/v1" // declares the events
)

// Keeper is the service that may change how long and how much the stream keeps:
// the one that writes everything down.
const Keeper = "audit"

// JSONConsumer is the name of the durable consumer from which [Keeper] makes
// events in JSON. No user has it.
const JSONConsumer = Keeper + "-json"

// User is somebody who may connect.
type User struct {
	// Name and Password are shown on connecting. A service's name is its own.
	Name, Password string
	// Publish and Subscribe are the subjects that are allowed, NATS wildcards among
	// them; everything else is refused.
	Publish, Subscribe []string
}

// Service is the user of a service.
func Service(name, password string) User {
	api := "$JS.API."
	u := User{Name: name, Password: password, Subscribe: []string{bus.InboxPrefix(name) + ".>", bus.WakeSubject(name)}}
	for _, t := range event.Types() {
		if t.SaidBy(name) {
			u.Publish = append(u.Publish, t.Filter())
		}
	}
	u.Publish = append(u.Publish,
		bus.WakeSubject(name), bus.SyncSubject("*"),
		api+"INFO", api+"STREAM.INFO."+bus.Stream, api+"STREAM.CREATE."+bus.Stream,
		api+"STREAM.MSG.GET."+bus.Stream, api+"DIRECT.GET."+bus.Stream, api+"DIRECT.GET."+bus.Stream+".>",
		api+"CONSUMER.CREATE."+bus.Stream+"."+name, api+"CONSUMER.CREATE."+bus.Stream+"."+name+".>",
		api+"CONSUMER.DELETE."+bus.Stream+"."+name,
	)
	u.Publish = append(u.Publish, reading(bus.Stream, name)...)
	if name == Keeper {
		u.Publish = append(u.Publish, api+"STREAM.UPDATE."+bus.Stream,
			bus.AllJSONSubjects,
			api+"STREAM.INFO."+bus.JSONStream, api+"STREAM.CREATE."+bus.JSONStream, api+"STREAM.UPDATE."+bus.JSONStream,
			api+"CONSUMER.CREATE."+bus.Stream+"."+JSONConsumer, api+"CONSUMER.RESET."+bus.Stream+"."+JSONConsumer,
		)
		u.Publish = append(u.Publish, reading(bus.Stream, JSONConsumer)...)
	}
	return u
}

// Subscriber is the user of a program that reads the events of an organization,
// of either form. Its durable consumers have its name. NATS refuses it a consumer
// whose filter is not within the organization's subjects.
func Subscriber(name, password string, organization uuid.UUID) User {
	u := User{Name: name, Password: password, Subscribe: []string{bus.InboxPrefix(name) + ".>"}}
	for _, form := range []struct{ stream, prefix string }{{bus.Stream, "access."}, {bus.JSONStream, "access-json."}} {
		subjects := form.prefix + organization.String() + ".>"
		u.Publish = append(u.Publish,
			"$JS.API.STREAM.INFO."+form.stream,
			"$JS.API.CONSUMER.CREATE."+form.stream+"."+name+"."+subjects,
			"$JS.API.CONSUMER.DELETE."+form.stream+"."+name,
		)
		u.Publish = append(u.Publish, reading(form.stream, name)...)
		u.Subscribe = append(u.Subscribe, subjects)
	}
	return u
}

// Listener is the user of a program of the installation that only listens to what happens
// from now on, in every organization: the gateway, which tells browsers that something
// has changed.
func Listener(name, password string) User {
	return User{
		Name: name, Password: password,
		// Nothing but to itself: NATS takes an empty list for everything.
		Publish:   []string{bus.InboxPrefix(name) + ".>"},
		Subscribe: []string{bus.AllSubjects, bus.InboxPrefix(name) + ".>"},
	}
}

// reading is what it takes to read through a consumer that is there.
func reading(stream, consumer string) []string {
	return []string{
		"$JS.API.CONSUMER.INFO." + stream + "." + consumer,
		"$JS.API.CONSUMER.MSG.NEXT." + stream + "." + consumer,
		"$JS.ACK." + stream + "." + consumer + ".>",
	}
}

// Operator is a user who may do everything: for whoever runs the bus.
func Operator(name, password string) User {
	return User{Name: name, Password: password, Publish: []string{">"}, Subscribe: []string{">"}}
}

// ParseSubscribers reads outside subscribers as a setting has them:
// name=organization:password, separated by commas. A name is made of letters,
// digits, - and _, and is no service's; a password has 16 characters or more.
func ParseSubscribers(text string, taken ...string) ([]User, error) {
	var users []User
	for one := range strings.SplitSeq(text, ",") {
		if one = strings.TrimSpace(one); one == "" {
			continue
		}
		name, rest, ok := strings.Cut(one, "=")
		organization, password, found := strings.Cut(rest, ":")
		id, err := uuid.Parse(organization)
		if !ok || !found || !isName(name) || err != nil || id == uuid.Nil {
			return nil, fmt.Errorf("not of the form name=organization:password,…, with the id of an organization")
		}
		if len(password) < 16 {
			return nil, fmt.Errorf("the password of %s has under 16 characters", name)
		}
		if slices.Contains(taken, name) || name == JSONConsumer {
			return nil, fmt.Errorf("%s is a name that is taken", name)
		}
		taken = append(taken, name)
		users = append(users, Subscriber(name, password, id))
	}
	return users, nil
}

func isName(s string) bool {
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// Config is the authorization block of a NATS server's configuration for the
// users. The server takes a bcrypt hash in the place of a password, too.
func Config(users []User) string {
	var b strings.Builder
	b.WriteString("authorization {\n  users: [\n")
	for _, u := range users {
		fmt.Fprintf(&b, "    {\n      user: %q\n      password: %q\n      permissions: {\n", u.Name, u.Password)
		for _, p := range []struct {
			name     string
			subjects []string
		}{{"publish", u.Publish}, {"subscribe", u.Subscribe}} {
			fmt.Fprintf(&b, "        %s: {\n          allow: [\n", p.name)
			for _, s := range p.subjects {
				fmt.Fprintf(&b, "            %q\n", s)
			}
			b.WriteString("          ]\n        }\n")
		}
		b.WriteString("      }\n    }\n")
	}
	b.WriteString("  ]\n}\n")
	return b.String()
}
