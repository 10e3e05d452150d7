package services_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gatehouse.dev/libs/event"
	_ "gatehouse.dev/proto/gen/gatehouse/event/v1" // declares the events
)

// docs/events.md has the table of all events, as the protos have them.
func TestEventsAreListed(t *testing.T) {
	t.Parallel()
	protos, err := filepath.Glob("../proto/gatehouse/event/v1/*.proto")
	if err != nil {
		t.Fatal(err)
	}
	when := map[string]string{}
	emitted := regexp.MustCompile(`(?m)^((?://.*\n)+)message (\w+) \{`)
	for _, file := range protos {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range emitted.FindAllStringSubmatch(string(b), -1) {
			text := strings.Join(strings.Fields(strings.ReplaceAll(m[1], "//", " ")), " ")
			text, _, _ = strings.Cut(text, ". ")
			text = strings.TrimSuffix(text, ".")
			for _, begin := range []string{m[2] + " is emitted when ", m[2] + " is emitted "} {
				text = strings.TrimPrefix(text, begin)
			}
			when[m[2]] = text
		}
	}
	table := "| event | message | says it | signed | when |\n|---|---|---|:-:|---|\n"
	for _, typ := range event.Types() {
		message := string(typ.Message.Name())
		if when[message] == "" {
			t.Errorf("%s has no comment", message)
		}
		signed := ""
		if typ.Signed {
			signed = "x"
		}
		sayer := typ.Service
		if sayer == event.EveryService {
			sayer = "each of itself"
		}
		table += fmt.Sprintf("| `%s` | `%s` | %s | %s | %s |\n", typ, message, sayer, signed, when[message])
	}
	page, err := os.ReadFile("../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "<!-- events -->\n")
	have, _, ended := strings.Cut(rest, "<!-- /events -->")
	if !found || !ended || have != table {
		t.Errorf("the table in docs/events.md is another than that of the protos, which is\n%s", table)
	}
}
