package scim_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"gatehouse.dev/services/identity-sync/internal/scim"
)

// base is the user that PATCH tests start from.
const base = `"externalId":"x1","displayName":"Ada","title":"Analyst","active":true,
  "name":{"givenName":"Ada","familyName":"King"},
  "emails":[{"value":"w@x","type":"work","primary":true},{"value":"h@x","type":"home"}],
  "` + enterpriseURN + `":{"department":"Engines","manager":{"value":"m1","$ref":"../Users/m1"}},
  "urn:example:1.0:User":{"cats":2,"tags":["a"]}`

// B-USR-04: changes by the RFC's examples and by what Entra and Okta send.
func TestPatchUser(t *testing.T) {
	t.Parallel()
	const ent = enterpriseURN
	tests := []struct {
		name string
		ops  string
		// want are parts of the result: path = JSON.
		want map[string]string
	}{
		// RFC 7644, section 3.5.2.1: add.
		{"add a single value", `{"op":"add","path":"nickName","value":"Countess"}`, map[string]string{"nickName": `"Countess"`}},
		{"add replaces a single value", `{"op":"add","path":"title","value":"Boss"}`, map[string]string{"title": `"Boss"`}},
		{"add a sub-attribute", `{"op":"add","path":"name.formatted","value":"Ada King"}`, map[string]string{"name": `{"givenName":"Ada","familyName":"King","formatted":"Ada King"}`}},
		{
			"add to several values", `{"op":"add","path":"emails","value":[{"value":"o@x","type":"other"}]}`,
			map[string]string{"emails": `[{"value":"w@x","type":"work","primary":true},{"value":"h@x","type":"home"},{"value":"o@x","type":"other"}]`},
		},
		{
			"add one value as an object", `{"op":"add","path":"emails","value":{"value":"o@x","type":"other"}}`,
			map[string]string{"emails.2.value": `"o@x"`},
		},
		{
			"add a value that is there", `{"op":"add","path":"emails","value":[{"value":"H@X","type":"home"}]}`,
			map[string]string{"emails": `[{"value":"w@x","type":"work","primary":true},{"value":"H@X","type":"home"}]`},
		},
		{
			"add a primary value demotes the other", `{"op":"add","path":"emails","value":[{"value":"o@x","type":"other","primary":true}]}`,
			map[string]string{"emails": `[{"value":"w@x","type":"work","primary":false},{"value":"h@x","type":"home"},{"value":"o@x","type":"other","primary":true}]`},
		},
		{
			"add without a path", `{"op":"add","value":{"nickName":"C","emails":[{"value":"o@x","type":"other"}]}}`,
			map[string]string{"nickName": `"C"`, "emails.2.value": `"o@x"`},
		},
		{
			"add to an extension", `{"op":"add","path":"` + ent + `:costCenter","value":"7"}`,
			map[string]string{"#" + ent + ".costCenter": `"7"`, "#" + ent + ".department": `"Engines"`},
		},

		// Section 3.5.2.2: remove.
		{"remove a single value", `{"op":"remove","path":"title"}`, map[string]string{"title": `null`}},
		{"remove a sub-attribute", `{"op":"remove","path":"name.givenName"}`, map[string]string{"name": `{"familyName":"King"}`}},
		{"remove what is not there", `{"op":"remove","path":"nickName"}`, map[string]string{"nickName": `null`, "title": `"Analyst"`}},
		{"remove all values", `{"op":"remove","path":"emails"}`, map[string]string{"emails": `null`}},
		{"remove chosen values", `{"op":"remove","path":"emails[type eq \"work\"]"}`, map[string]string{"emails": `[{"value":"h@x","type":"home"}]`}},
		{"remove the last value", `{"op":"remove","path":"emails[value ew \"@x\"]"}`, map[string]string{"emails": `null`}},
		{"remove a sub-attribute of a value", `{"op":"remove","path":"emails[type eq \"work\"].primary"}`, map[string]string{"emails.0": `{"value":"w@x","type":"work"}`}},
		{"remove the value of a value", `{"op":"remove","path":"emails[type eq \"work\"].value"}`, map[string]string{"emails": `[{"value":"h@x","type":"home"}]`}},
		{"remove an extension", `{"op":"remove","path":"` + ent + `"}`, map[string]string{"#" + ent: `null`, "schemas": `["` + userURN + `","urn:example:1.0:User"]`}},
		{"remove an attribute of an extension", `{"op":"remove","path":"` + ent + `:department"}`, map[string]string{"#" + ent: `{"manager":{"value":"m1","$ref":"../Users/m1"}}`}},

		// Section 3.5.2.3: replace.
		{"replace a single value", `{"op":"replace","path":"title","value":"Boss"}`, map[string]string{"title": `"Boss"`}},
		{"replace what is not there", `{"op":"replace","path":"nickName","value":"C"}`, map[string]string{"nickName": `"C"`}},
		{"replace with null", `{"op":"replace","path":"title","value":null}`, map[string]string{"title": `null`}},
		{"replace several values", `{"op":"replace","path":"emails","value":[{"value":"n@x"}]}`, map[string]string{"emails": `[{"value":"n@x"}]`}},
		{"replace several values with none", `{"op":"replace","path":"emails","value":[]}`, map[string]string{"emails": `null`}},
		{"replace a complex value merges", `{"op":"replace","path":"name","value":{"familyName":"Lovelace"}}`, map[string]string{"name": `{"givenName":"Ada","familyName":"Lovelace"}`}},
		{"replace a complex value, one part null", `{"op":"replace","path":"name","value":{"familyName":null}}`, map[string]string{"name": `{"givenName":"Ada"}`}},
		{
			"replace a chosen value", `{"op":"replace","path":"emails[type eq \"work\"]","value":{"value":"n@x","type":"work"}}`,
			map[string]string{"emails": `[{"value":"n@x","type":"work"},{"value":"h@x","type":"home"}]`},
		},
		{
			"replace a chosen value by a primary one", `{"op":"replace","path":"emails[type eq \"home\"]","value":{"value":"n@x","primary":true}}`,
			map[string]string{"emails": `[{"value":"w@x","type":"work","primary":false},{"value":"n@x","primary":true}]`},
		},
		{
			"add to a chosen value", `{"op":"add","path":"emails[type eq \"home\"]","value":{"display":"d"}}`,
			map[string]string{"emails.1": `{"value":"h@x","type":"home","display":"d"}`},
		},
		{
			"replace a sub-attribute of a chosen value", `{"op":"replace","path":"emails[type eq \"work\" and value co \"w@\"].value","value":"n@x"}`,
			map[string]string{"emails.0": `{"value":"n@x","type":"work","primary":true}`},
		},
		{
			"primary moves", `{"op":"replace","path":"emails[type eq \"home\"].primary","value":true}`,
			map[string]string{"emails": `[{"value":"w@x","type":"work","primary":false},{"value":"h@x","type":"home","primary":true}]`},
		},
		{
			"replace a sub-attribute of all values", `{"op":"replace","path":"emails.display","value":"d"}`,
			map[string]string{"emails.0.display": `"d"`, "emails.1.display": `"d"`},
		},
		{"replace without a path", `{"op":"replace","value":{"title":"Boss","active":false,"nickName":null}}`, map[string]string{"title": `"Boss"`, "active": `false`}},
		{
			"several operations in order", `{"op":"remove","path":"emails"},{"op":"add","path":"emails","value":[{"value":"1@x"}]},{"op":"add","path":"emails","value":[{"value":"2@x"}]},{"op":"remove","path":"emails[value eq \"1@x\"]"}`,
			map[string]string{"emails": `[{"value":"2@x"}]`},
		},

		// Names ignore case; the core schema may be named.
		{"case of names", `{"OP":"REPLACE","PATH":"NAME.GIVENNAME","VALUE":"A"}`, map[string]string{"name.givenName": `"A"`}},
		{"case of names in a filter", `{"op":"replace","path":"EMAILS[TYPE EQ \"WORK\"].VALUE","value":"n@x"}`, map[string]string{"emails.0.value": `"n@x"`}},
		{"core schema in a path", `{"op":"replace","path":"` + userURN + `:name.givenName","value":"A"}`, map[string]string{"name.givenName": `"A"`}},
		{"core schema as a key", `{"op":"replace","value":{"` + userURN + `":{"title":"Boss"}}}`, map[string]string{"title": `"Boss"`}},
		{"core schema as a path", `{"op":"replace","path":"` + userURN + `","value":{"title":"Boss"}}`, map[string]string{"title": `"Boss"`}},

		// Entra.
		{"Entra: disable", `{"op":"Replace","path":"active","value":"False"}`, map[string]string{"active": `false`}},
		{"Entra: disable without a path", `{"op":"Replace","value":{"active":"False"}}`, map[string]string{"active": `false`}},
		{
			"Entra: dotted keys and URNs", `{"op":"Replace","value":{"displayName":"A","name.givenName":"B","name.familyName":"C","` + ent + `:department":"D","` + ent + `:employeeNumber":"7"}}`,
			map[string]string{"displayName": `"A"`, "name": `{"givenName":"B","familyName":"C"}`, "#" + ent + ".department": `"D"`, "#" + ent + ".employeeNumber": `"7"`},
		},
		{
			"Entra: value path as a key", `{"op":"Add","value":{"phoneNumbers[type eq \"mobile\"].value":"1"}}`,
			map[string]string{"phoneNumbers": `[{"type":"mobile","value":"1"}]`},
		},
		{
			"Entra: extension as a key", `{"op":"Add","value":{"` + ent + `":{"department":"D","manager":"m2"}}}`,
			map[string]string{"#" + ent: `{"department":"D","manager":{"value":"m2"}}`},
		},
		{
			"Entra: extension as a path", `{"op":"Replace","path":"` + ent + `","value":{"department":"D"}}`,
			map[string]string{"#" + ent: `{"department":"D","manager":{"value":"m1","$ref":"../Users/m1"}}`},
		},
		{"Entra: add creates a value", `{"op":"Add","path":"phoneNumbers[type eq \"work\"].value","value":"1"}`, map[string]string{"phoneNumbers": `[{"type":"work","value":"1"}]`}},
		{"Entra: replace creates a value of a known type", `{"op":"Replace","path":"phoneNumbers[type eq \"mobile\"].value","value":"1"}`, map[string]string{"phoneNumbers": `[{"type":"mobile","value":"1"}]`}},
		{
			"Entra: the parts of an address", `{"op":"Add","path":"addresses[type eq \"work\"].country","value":"GB"},{"op":"Add","path":"addresses[type eq \"work\"].locality","value":"London"}`,
			map[string]string{"addresses": `[{"type":"work","country":"GB","locality":"London"}]`},
		},
		{
			"Entra: primary before the value", `{"op":"Add","path":"phoneNumbers[type eq \"work\"].primary","value":"True"},{"op":"Add","path":"phoneNumbers[type eq \"work\"].value","value":"1"}`,
			map[string]string{"phoneNumbers": `[{"type":"work","primary":true,"value":"1"}]`},
		},
		{
			"Entra: roles", `{"op":"Add","path":"roles[primary eq \"True\"].value","value":"admin"},{"op":"Add","path":"roles[primary eq \"True\"].display","value":"Admin"}`,
			map[string]string{"roles": `[{"primary":true,"value":"admin","display":"Admin"}]`},
		},
		{"Entra: manager as a string", `{"op":"Add","path":"` + ent + `:manager","value":"m2"}`, map[string]string{"#" + ent + ".manager": `{"value":"m2"}`}},
		{"Entra: manager as an array", `{"op":"Replace","path":"` + ent + `:manager","value":[{"$ref":"../Users/m2","value":"m2"}]}`, map[string]string{"#" + ent + ".manager": `{"value":"m2","$ref":"../Users/m2"}`}},
		{"Entra: manager's value", `{"op":"Replace","path":"` + ent + `:manager.value","value":"m2"}`, map[string]string{"#" + ent + ".manager": `{"value":"m2"}`}},
		{"manager as an object", `{"op":"replace","path":"` + ent + `:manager","value":{"value":"m2"}}`, map[string]string{"#" + ent + ".manager": `{"value":"m2"}`}},
		{"the same manager", `{"op":"replace","path":"` + ent + `:manager","value":{"value":"m1"}}`, map[string]string{"#" + ent + ".manager": `{"value":"m1","$ref":"../Users/m1"}`}},
		{"Entra: manager is none", `{"op":"Replace","path":"` + ent + `:manager","value":""}`, map[string]string{"#" + ent: `{"department":"Engines"}`}},
		{"Entra: manager is none, as an object", `{"op":"Replace","path":"` + ent + `:manager","value":{"value":""}}`, map[string]string{"#" + ent: `{"department":"Engines"}`}},
		{"Entra: remove the manager", `{"op":"Remove","path":"` + ent + `:manager"}`, map[string]string{"#" + ent: `{"department":"Engines"}`}},
		{"Entra: plain value in an object", `{"op":"Replace","path":"displayName","value":[{"$ref":null,"value":"A"}]}`, map[string]string{"displayName": `"A"`}},
		{"Entra: remove by value", `{"op":"Remove","path":"emails","value":[{"value":"W@x","type":"work"}]}`, map[string]string{"emails": `[{"value":"h@x","type":"home"}]`}},
		{"Entra: an empty value", `{"op":"Replace","path":"emails[type eq \"work\"].value","value":""}`, map[string]string{"emails": `[{"value":"h@x","type":"home"}]`}},

		// Okta.
		{"Okta: deactivate", `{"op":"replace","value":{"active":false}}`, map[string]string{"active": `false`}},
		{"Okta: password", `{"op":"replace","value":{"password":"secret","title":"Boss"}}`, map[string]string{"password": `null`, "title": `"Boss"`}},
		{"read-only without a path", `{"op":"replace","value":{"groups":[{"value":"g"}],"meta":{"version":"9"},"schemas":["x"],"title":"Boss"}}`, map[string]string{"groups": `null`, "title": `"Boss"`, "meta.version": `"W/\"2\""`}},

		{"Entra: roles by their display name", `{"op":"Add","path":"roles","value":[{"primary":false,"type":"WindowsAzureActiveDirectoryRole","displayName":"Admin","value":"Admin"}]}`, map[string]string{"roles": `[{"primary":false,"type":"WindowsAzureActiveDirectoryRole","display":"Admin","value":"Admin"}]`}},

		// A client's own extensions.
		{"unknown extension without a path", `{"op":"add","value":{"urn:example:1.0:User":{"dogs":1}}}`, map[string]string{"#urn:example:1.0:User": `{"cats":2,"tags":["a"],"dogs":1}`}},
		{"attribute of an unknown extension", `{"op":"replace","path":"urn:example:1.0:User:cats","value":3}`, map[string]string{"#urn:example:1.0:User.cats": `3`}},
		{"add to an array there", `{"op":"add","path":"urn:example:1.0:User:tags","value":["a","b"]}`, map[string]string{"#urn:example:1.0:User.tags": `["a","b"]`}},
		{"remove it", `{"op":"remove","path":"urn:example:1.0:User:cats"}`, map[string]string{"#urn:example:1.0:User": `{"tags":["a"]}`}},
		{"remove all of it", `{"op":"remove","path":"urn:example:1.0:User"}`, map[string]string{"#urn:example:1.0:User": `null`, "schemas": `["` + userURN + `","` + ent + `"]`}},
		{"a new extension with an underscore", `{"op":"add","path":"urn:my_org:2.0:User:badge.colour","value":"red"}`, map[string]string{"#urn:my_org:2.0:User": `{"badge":{"colour":"red"}}`}},
		{"value path in an unknown extension", `{"op":"add","path":"urn:e:1:U:list","value":[{"k":"a"},{"k":"b"}]},{"op":"replace","path":"urn:e:1:U:list[k eq \"b\"].v","value":1}`, map[string]string{"#urn:e:1:U.list": `[{"k":"a"},{"k":"b","v":1}]`}},
	}
	s := newServer(t)
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			u := s.user(fmt.Sprintf("u%d", i), strings.Replace(base, "x1", fmt.Sprintf("x%d", i), 1))
			got := s.patchUser(id(u), test.ops).ok(200)
			for path, want := range test.want {
				var part any
				if rest, ok := strings.CutPrefix(path, "#"); ok {
					// A URN with dots in it, and perhaps a path behind.
					for _, urn := range []string{enterpriseURN, "urn:example:1.0:User", "urn:my_org:2.0:User", "urn:e:1:U"} {
						if tail, ok := strings.CutPrefix(rest, urn); ok {
							part = at(got[urn], strings.TrimPrefix(tail, "."))
						}
					}
				} else {
					part = at(got, path)
				}
				is(t, path, part, want)
			}
			again, _ := json.Marshal(s.do("GET", "/Users/"+id(u), "").ok(200))
			first, _ := json.Marshal(got)
			if string(first) != string(again) {
				t.Errorf("read back: %s\nwant: %s", again, first)
			}
		})
	}
}

func TestPatchFailures(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	u := id(s.user("ada", base))
	before := s.do("GET", "/Users/"+u, "").raw
	tests := []struct {
		name, ops, want string
	}{
		{"remove without a path", `{"op":"remove"}`, "noTarget"},
		{"remove without a path, with a value", `{"op":"remove","value":{"title":"x"}}`, "noTarget"},
		{"replace without a match", `{"op":"replace","path":"emails[type eq \"nowhere\"].value","value":"x"}`, "noTarget"},
		{"replace without a match by value", `{"op":"replace","path":"emails[value eq \"no@x\"]","value":{"value":"x"}}`, "noTarget"},
		{"replace without a match of a known type, whole", `{"op":"replace","path":"emails[type eq \"other\"]","value":{"value":"x"}}`, "noTarget"},
		{"remove without a match", `{"op":"remove","path":"emails[type eq \"other\"]"}`, "noTarget"},
		{"add without a match that says too little", `{"op":"add","path":"emails[type sw \"o\"].value","value":"x"}`, "noTarget"},
		{"unknown attribute", `{"op":"replace","path":"shoeSize","value":1}`, "invalidPath"},
		{"unknown sub-attribute", `{"op":"replace","path":"name.nick","value":"x"}`, "invalidPath"},
		{"sub-attribute of a plain one", `{"op":"replace","path":"title.x","value":"x"}`, "invalidPath"},
		{"unknown attribute without a path", `{"op":"add","value":{"shoeSize":1}}`, "invalidPath"},
		{"unknown attribute under the core schema", `{"op":"replace","path":"` + userURN + `","value":{"x":1}}`, "invalidPath"},
		{"unknown attribute under the extension", `{"op":"add","value":{"` + enterpriseURN + `":{"floor":1}}}`, "invalidPath"},
		{"unknown part of a value", `{"op":"add","path":"emails","value":[{"value":"a@x","colour":"red"}]}`, "invalidSyntax"},
		{"attribute of the extension without its URN", `{"op":"replace","path":"manager","value":"m2"}`, "invalidPath"},
		{"attribute of the extension without its URN and path", `{"op":"replace","value":{"department":"D"}}`, "invalidPath"},
		{"attribute of the extension after a dot", `{"op":"replace","path":"` + enterpriseURN + `.department","value":"D"}`, "invalidPath"},
		{"core schema misspelt", `{"op":"replace","path":"urn:ietf:params:scim:schemas:core:2.0:Users:userName","value":"D"}`, "invalidPath"},
		{"core schema of another type", `{"op":"replace","path":"` + groupURN + `:displayName","value":"D"}`, "invalidPath"},
		{"extension misspelt", `{"op":"replace","value":{"urn:ietf:params:scim:schemas:extension:2.0:enterprise:User":{"department":"D"}}}`, "invalidPath"},
		{"extension of SCIM 1.1", `{"op":"replace","path":"urn:scim:schemas:extension:enterprise:1.0:department","value":"D"}`, "invalidPath"},
		{"attribute of an extension that cannot be", `{"op":"replace","path":"urn:new:1:X","value":true}`, "invalidPath"},
		{"attribute of an extension that cannot be, without a path", `{"op":"add","value":{"urn:new:X":1}}`, "invalidPath"},
		{"extension of the RFCs' own", `{"op":"add","path":"urn:ietf:params:scim:schemas:extension:new:enterprise","value":{"floor":1}}`, "invalidPath"},
		{"remove active", `{"op":"remove","path":"active"}`, "invalidValue"},
		{"active is null", `{"op":"replace","path":"active","value":null}`, "invalidValue"},
		{"active is null without a path", `{"op":"replace","value":{"active":null}}`, "invalidValue"},
		{"active is none", `{"op":"replace","path":"active","value":[]}`, "invalidValue"},
		{"active is empty", `{"op":"replace","path":"active","value":""}`, "invalidValue"},
		{"active is two", `{"op":"replace","path":"active","value":[false,false]}`, "invalidValue"},
		{"remove nobody's address", `{"op":"remove","path":"emails","value":[]}`, "invalidValue"},
		{"unknown attribute of the extension", `{"op":"replace","path":"` + enterpriseURN + `:floor","value":1}`, "invalidPath"},
		{"unknown attribute in a filter", `{"op":"remove","path":"emails[colour eq \"red\"]"}`, "invalidPath"},
		{"filter on a plain attribute", `{"op":"remove","path":"title[value eq \"x\"]"}`, "invalidPath"},
		{"filter on one complex value", `{"op":"remove","path":"name[givenName eq \"x\"]"}`, "invalidPath"},
		{"malformed path", `{"op":"remove","path":"emails[type eq"}`, "invalidPath"},
		{"malformed path 2", `{"op":"remove","path":"emails]"}`, "invalidPath"},
		{"malformed path 3", `{"op":"remove","path":"emails[type eq \"work\"]x"}`, "invalidPath"},
		{"malformed path 4", `{"op":"remove","path":"emails..value"}`, "invalidPath"},
		{"malformed path 5", `{"op":"remove","path":"a.b.c"}`, "invalidPath"},
		{"malformed path 6", `{"op":"remove","path":"a b"}`, "invalidPath"},
		{"two sub-attributes", `{"op":"replace","path":"emails.value[type eq \"work\"].value","value":"x"}`, "invalidPath"},
		{"path of the wrong type", `{"op":"remove","path":7}`, "invalidPath"},
		{"path too long", `{"op":"remove","path":"` + strings.Repeat("a", 20000) + `"}`, "invalidPath"},
		{"remove userName", `{"op":"remove","path":"userName"}`, "mutability"},
		{"userName is null", `{"op":"replace","path":"userName","value":null}`, "mutability"},
		{"userName is null without a path", `{"op":"replace","value":{"userName":null}}`, "mutability"},
		{"id", `{"op":"replace","path":"id","value":"x"}`, "mutability"},
		{"id of another", `{"op":"replace","value":{"id":"x"}}`, "mutability"},
		{"meta", `{"op":"replace","path":"meta.version","value":"x"}`, "mutability"},
		{"groups", `{"op":"add","path":"groups","value":[{"value":"x"}]}`, "mutability"},
		{"schemas", `{"op":"remove","path":"schemas"}`, "mutability"},
		{"the manager's name", `{"op":"replace","path":"` + enterpriseURN + `:manager.displayName","value":"x"}`, "mutability"},
		{"the core schema", `{"op":"remove","path":"` + userURN + `"}`, "mutability"},
		{"userName is empty", `{"op":"replace","path":"userName","value":""}`, "invalidValue"},
		{"userName is a number", `{"op":"replace","path":"userName","value":1}`, "invalidValue"},
		{"active is a word", `{"op":"replace","path":"active","value":"maybe"}`, "invalidValue"},
		{"two primary", `{"op":"replace","path":"emails","value":[{"value":"a","primary":true},{"value":"b","primary":true}]}`, "invalidValue"},
		{"all primary", `{"op":"replace","path":"emails.primary","value":true}`, "invalidValue"},
		{"name is a string", `{"op":"replace","path":"name","value":"Ada"}`, "invalidValue"},
		{"extension is a string", `{"op":"replace","path":"` + enterpriseURN + `","value":"x"}`, "invalidValue"},
		{"no value", `{"op":"replace","path":"title"}`, "invalidValue"},
		{"value is no object without a path", `{"op":"replace","value":"x"}`, "invalidValue"},
		{"unknown op", `{"op":"move","path":"title","value":"x"}`, "invalidSyntax"},
		{"no op", `{"path":"title","value":"x"}`, "invalidSyntax"},
		{"operation is no object", `"replace"`, "invalidSyntax"},
		{"no operations", ``, "invalidSyntax"},
		{"too many operations", strings.TrimSuffix(strings.Repeat(`{"op":"remove","path":"title"},`, 251), ","), "invalidValue"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			// A good operation before the bad one must not remain.
			list := test.ops
			if list != "" {
				list = `{"op":"replace","path":"title","value":"half done"},` + list
			}
			s.patchUser(u, list).refused(400, test.want)
			if after := s.do("GET", "/Users/"+u, "").raw; string(after) != string(before) {
				t.Errorf("the user changed: %s", after)
			}
		})
	}
	for _, body := range []string{
		`{"Operations":{}}`, `{}`, `{"schemas":["` + userURN + `"],"Operations":[{"op":"remove","path":"title"}]}`,
	} {
		a := s.do("PATCH", "/Users/"+u, body)
		if a.status != 400 {
			t.Errorf("%s: %d", body, a.status)
		}
	}
	// The schemas attribute may be absent, and the operations in any case.
	s.do("PATCH", "/Users/"+u, `{"operations":[{"op":"replace","path":"title","value":"x"}]}`).ok(200)
}

func TestPatchAnswersWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	s := newServer(t)
	u := id(s.user("ada", base))
	got := s.do("PATCH", "/Users/"+u+"?attributes=userName", ops(`{"op":"replace","path":"title","value":"x"}`)).ok(200)
	is(t, "answer", got, `{"schemas":["`+userURN+`","`+"urn:example:1.0:User"+`","`+enterpriseURN+`"],"id":"`+u+`","userName":"ada"}`)
}

func TestPatchesDoNotAddUp(t *testing.T) {
	t.Parallel()
	s := newServer(t, func(c *scim.Config) { c.MaxUserBytes = 4000 })
	u := id(s.user("ada"))
	var a answer
	for i := range 100 {
		a = s.patchUser(u, fmt.Sprintf(`{"op":"add","value":{"urn:x%d:1:User":{"x":%q}}}`, i, strings.Repeat("x", 100)))
		if a.status != 200 {
			break
		}
	}
	a.refused(400, "invalidValue")
	s.do("GET", "/Users/"+u, "").ok(200)
	s.patchUser(u, `{"op":"remove","path":"title"}`).ok(200)
}
