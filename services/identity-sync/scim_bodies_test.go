package identitysync_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	"gatehouse.dev/services/identity-sync/internal/scim"
)

var update = flag.Bool("update", false, "write the tables of docs/scim.md anew")

// said is a request as an identity provider sends it, and what it does. In path and
// body $id is whom it is about, $name the first part of their user name, and $ann,
// $bob, $cem, $mia are others of the source.
type said struct {
	by     string // who sends it so
	method string // PATCH if empty
	body   string // of PATCH only the operations
	code   int    // 200 if it is zero
	typ    string // scimType of an error
	// before is a PATCH that comes first.
	before string
	// show is an attribute to look at afterwards.
	show string
	// then is what there is afterwards: the state and what show shows, or the members.
	then   string
	events string
}

const (
	okta  = "Okta"
	entra = "Entra"
	rfc   = "RFC 7644"
	other = ""
	off   = `{"op":"replace","path":"active","value":false}`
	gone  = "DELETE" // instead of a PATCH that comes first
	out   = "suspended"
)

// leaving is how somebody is made inactive and active.
var leaving = []said{
	{by: okta, body: `{"op":"replace","value":{"active":false}}`, then: "suspended", events: out},
	{by: okta, method: "PUT", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"$id","userName":"$name@corp.example","name":{"givenName":"Test","middleName":"","familyName":"User"},"emails":[{"primary":true,"value":"$name@corp.example","type":"work","display":"$name@corp.example"}],"displayName":"Test User","externalId":"ext-$name","active":false,"groups":[],"meta":{"resourceType":"User"}}`, then: "suspended", events: "suspended; updated display_name,given_name,family_name,title,department,manager_id"},
	{by: entra, body: `{"op":"Replace","path":"active","value":"False"}`, then: "suspended", events: out},
	{by: entra, body: `{"op":"Replace","path":"active","value":false}`, then: "suspended", events: out},
	{by: entra, body: off, then: "suspended", events: out},
	{by: entra, body: `{"op":"Replace","path":"active","value":[{"$ref":null,"value":"False"}]}`, then: "suspended", events: out},
	{by: other, body: `{"op":"replace","path":"active","value":"false"}`, then: "suspended", events: out},
	{by: other, body: `{"op":"replace","path":"active","value":[{"value":false}]}`, then: "suspended", events: out},
	{by: other, body: `{"op":"replace","path":"active","value":[false]}`, then: "suspended", events: out},
	{by: other, body: `{"op":"replace","path":"active","value":{"value":false}}`, then: "suspended", events: out},
	{by: other, body: `{"op":"Replace","value":{"active":"False"}}`, then: "suspended", events: out},
	{by: other, body: `{"op":"add","value":{"active":false}}`, then: "suspended", events: out},
	{by: rfc, body: `{"op":"replace","path":"urn:ietf:params:scim:schemas:core:2.0:User:active","value":false}`, then: "suspended", events: out},
	{by: rfc, body: `{"op":"replace","value":{"urn:ietf:params:scim:schemas:core:2.0:User":{"active":false}}}`, then: "suspended", events: out},
	{by: other, body: `{"op":"replace","value":{"active":false,"title":"Former engineer"}}`, then: "suspended", events: "suspended; updated title"},
	{by: other, body: `{"op":"replace","path":"active","value":false},{"op":"replace","path":"urn:corp:costCenter","value":"7"}`, then: "suspended", events: out},
	{by: other, body: `{"op":"replace","path":"urn:corp:1","value":{"a":"b"}},{"op":"replace","value":{"active":false,"urn:corp:costCenter":"7","title":"Former engineer"}}`, then: "suspended", events: "suspended; updated title"},
	{by: other, method: "PUT", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"$name@corp.example","externalId":"ext-$name","displayName":"$name","active":false,"urn:corp:costCenter":"7"}`, then: "suspended", events: "suspended; updated display_name,given_name,family_name,title,department,manager_id"},
	{by: other, body: off, before: off, then: "suspended", events: out},
	{by: entra, method: "DELETE", code: http.StatusNoContent, then: "removed", events: "removed"},

	{by: okta, before: off, body: `{"op":"replace","value":{"active":true}}`, then: "active", events: "suspended; updated state"},
	{by: entra, before: off, body: `{"op":"Replace","path":"active","value":"True"}`, then: "active", events: "suspended; updated state"},
	{by: entra, before: off, body: `{"op":"Add","path":"active","value":"True"}`, then: "active", events: "suspended; updated state"},

	{by: other, method: "PUT", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"$name@corp.example","externalId":"ext-$name","displayName":"$name"}`, before: off, then: "suspended", events: "suspended; updated display_name,given_name,family_name,title,department,manager_id"},
	{by: other, method: "PUT", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"$name@corp.example","externalId":"ext-$name","displayName":"$name","active":null}`, then: "active", events: "updated display_name,given_name,family_name,title,department,manager_id"},

	{by: other, body: `{"op":"replace","path":"active","value":null}`, code: 400, typ: "invalidValue", then: "active"},
	{by: other, body: `{"op":"replace","value":{"active":null}}`, code: 400, typ: "invalidValue", then: "active"},
	{by: other, body: `{"op":"remove","path":"active"}`, code: 400, typ: "invalidValue", then: "active"},
	{by: other, body: `{"op":"remove","path":"active"}`, before: off, code: 400, typ: "invalidValue", then: "suspended", events: out},
	{by: other, body: `{"op":"replace","path":"active","value":[]}`, code: 400, typ: "invalidValue", then: "active"},
	{by: other, body: `{"op":"replace","path":"active","value":""}`, code: 400, typ: "invalidValue", then: "active"},
	{by: other, body: `{"op":"replace","path":"active","value":"no"}`, code: 400, typ: "invalidValue", then: "active"},
	{by: other, body: `{"op":"replace","path":"active","value":0}`, code: 400, typ: "invalidValue", then: "active"},
	{by: other, body: `{"op":"replace","path":"active"}`, code: 400, typ: "invalidValue", then: "active"},
	{by: other, body: `{"op":"replace","value":[{"active":false}]}`, code: 400, typ: "invalidValue", then: "active"},
	{by: other, body: `{"op":"replace","path":"active[value eq true]","value":false}`, code: 400, typ: "invalidPath", then: "active"},
	{by: other, body: `{"op":"replace","path":"active.value","value":false}`, code: 400, typ: "invalidPath", then: "active"},
	{by: other, body: `{"op":"replace","path":"accountEnabled","value":false}`, code: 400, typ: "invalidPath", then: "active"},
	{by: other, body: `{"op":"replace","value":{"value":{"active":false}}}`, code: 400, typ: "invalidPath", then: "active"},
	{by: other, body: `{"op":"replace","path":"active","value":true},{"op":"replace","path":"urn:corp:costCenter","value":"7"}`, code: http.StatusBadRequest, typ: "invalidPath", then: "active"},
	{by: other, before: off, body: `{"op":"replace","path":"urn:corp:costCenter","value":"7"}`, code: http.StatusBadRequest, typ: "invalidPath", then: "suspended", events: out},
	{by: other, body: `{"op":"replace","path":"active","value":false},{"op":"replace","path":"urn:ietf:params:scim:schemas:core:2.0:Users:title","value":"Former engineer"}`, code: http.StatusBadRequest, typ: "invalidPath", then: "active"},
	{by: other, body: `{"op":"deactivate","path":"active","value":false}`, code: 400, typ: "invalidSyntax", then: "active"},
}

// returning is how somebody comes back, or not, who was suspended for so long that they
// were removed.
var returning = []said{
	{by: okta, body: `{"op":"replace","value":{"active":true}}`, then: "active", events: "joined"},
	{by: okta, method: "PUT", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"id":"$id","userName":"$name@corp.example","name":{"givenName":"Test","middleName":"","familyName":"User"},"emails":[{"primary":true,"value":"$name@corp.example","type":"work","display":"$name@corp.example"}],"displayName":"Test User","externalId":"ext-$name","active":true,"groups":[],"meta":{"resourceType":"User"}}`, then: "active", events: "joined"},
	{by: entra, body: `{"op":"Replace","path":"active","value":"True"}`, then: "active", events: "joined"},
	{by: entra, body: `{"op":"Add","path":"active","value":"True"}`, then: "active", events: "joined"},
	{by: entra, body: `{"op":"Replace","path":"active","value":"True"},{"op":"Replace","path":"title","value":"Lead"}`, show: "title", then: `active, "Lead"`, events: "joined"},
	{by: rfc, method: "POST", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"$name@corp.example","externalId":"ext-$name"}`, code: http.StatusCreated, then: "active", events: "joined"},
	{by: okta, method: "GET", show: "active", then: "removed, false"},
	{by: okta, body: `{"op":"replace","value":{"active":false}}`, show: "active", then: "removed, false"},
	{by: other, body: `{"op":"replace","path":"title","value":"Lead"}`, show: "title", then: `removed, "Lead"`},
	{by: other, method: "PUT", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"$name@corp.example","externalId":"ext-$name"}`, show: "active", then: "removed, false"},
	{by: other, body: `{"op":"replace","value":{"active":true,"userName":"ann@corp.example"}}`, code: http.StatusConflict, typ: "uniqueness", then: "removed"},
	{by: entra, method: "DELETE", code: http.StatusNoContent, then: "removed"},
	{by: entra, method: "DELETE", before: gone, code: http.StatusNotFound, then: "removed"},
	{by: okta, before: gone, body: `{"op":"replace","value":{"active":true}}`, code: http.StatusNotFound, then: "removed"},
	{by: okta, before: gone, method: "GET", code: http.StatusNotFound, then: "removed"},
}

// joining is how somebody comes.
var joining = []said{
	{by: okta, method: "POST", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"$name@corp.example","name":{"givenName":"Test","familyName":"User"},"emails":[{"primary":true,"value":"$name@corp.example","type":"work"}],"displayName":"Test User","locale":"en-US","externalId":"00ujl29u0le5T6Aj10h7","groups":[],"password":"1mz050nq","active":true}`, code: http.StatusCreated, then: "active", events: "joined"},
	{by: entra, method: "POST", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"],"externalId":"0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef","userName":"$name@corp.example","active":true,"emails":[{"primary":true,"type":"work","value":"$name@corp.example"}],"meta":{"resourceType":"User"},"name":{"formatted":"givenName familyName","familyName":"familyName","givenName":"givenName"},"roles":[]}`, code: http.StatusCreated, then: "active", events: "joined"},
	{by: other, method: "POST", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"$name@corp.example"}`, code: http.StatusCreated, then: "active", events: "joined"},
	{by: other, method: "POST", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"$name@corp.example","active":null}`, code: http.StatusCreated, then: "active", events: "joined"},
	{by: entra, method: "POST", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"$name@corp.example","active":"False"}`, code: http.StatusCreated, then: "suspended", events: "suspended"},
	{by: other, method: "POST", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"$name@corp.example","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":{"value":"$mia"}}}`, code: http.StatusCreated, show: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", then: `active, {"manager":{"value":"$mia"}}`, events: "joined"},
	{by: other, method: "POST", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"$name@corp.example","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User":{"manager":"$mia"}}`, code: http.StatusCreated, show: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", then: `active, {"manager":{"value":"$mia"}}`, events: "joined"},
	{by: entra, method: "POST", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"$name@corp.example","roles":[{"primary":false,"type":"WindowsAzureActiveDirectoryRole","displayName":"Admin","value":"Admin"}]}`, code: http.StatusCreated, show: "roles", then: `active, [{"display":"Admin","primary":false,"type":"WindowsAzureActiveDirectoryRole","value":"Admin"}]`, events: "joined"},
	{by: entra, method: "POST", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"$name@corp.example","urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User":{"CustomAttribute":"701984"}}`, code: http.StatusCreated, show: "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User", then: `active, {"CustomAttribute":"701984"}`, events: "joined"},
	{by: other, method: "POST", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"$name@corp.example","manager":"$mia"}`, code: 400, typ: "invalidSyntax"},
	{by: other, method: "POST", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"$name@corp.example","shoeSize":38}`, code: 400, typ: "invalidSyntax"},
	{by: other, method: "POST", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"$name@corp.example","urn:ietf:params:scim:schemas:core:2.0:Users":{"title":"Lead"}}`, code: 400, typ: "invalidSyntax"},
	{by: other, method: "POST", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"displayName":"Nobody"}`, code: 400, typ: "invalidValue"},
	{by: other, method: "POST", body: `{"userName":"$name@corp.example"}`, code: 400, typ: "invalidValue"},
}

// changing is how it is said who somebody is.
var changing = []said{
	{by: entra, body: `{"op":"Replace","path":"userName","value":"new-$name@corp.example"}`, show: "userName", then: `active, "new-$name@corp.example"`, events: "updated user_name"},
	{by: entra, body: `{"op":"Replace","path":"emails[type eq \"work\"].value","value":"updated-$name@corp.example"},{"op":"Replace","path":"name.familyName","value":"updatedFamilyName"}`, show: "name", then: `active, {"familyName":"updatedFamilyName","givenName":"$Name"}`, events: "updated family_name,email"},
	{by: entra, body: `{"op":"replace","value":{"displayName":"Bjfe","name.givenName":"Kkom","name.familyName":"Unua","urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:employeeNumber":"Aklq"}}`, show: "name", then: `active, {"familyName":"Unua","givenName":"Kkom"}`, events: "updated display_name,given_name,family_name"},
	{by: entra, body: `{"op":"Add","path":"nickName","value":"Babs"}`, show: "nickName", then: `active, "Babs"`},
	{by: okta, body: `{"op":"replace","value":{"password":"t1meMa$heen"}}`, show: "password", then: "active"},
	{by: rfc, body: `{"op":"remove","path":"title"}`, show: "title", then: "active", events: "updated title"},
	{by: entra, body: `{"op":"Remove","path":"emails[type eq \"work\"].value"}`, show: "emails", then: "active"},
	{by: entra, body: `{"op":"Replace","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department","value":"Looms"}`, show: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", then: `active, {"department":"Looms","manager":{"value":"$mia"}}`, events: "updated department"},
	{by: rfc, body: `{"op":"replace","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User","value":{"department":"Looms"}}`, show: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", then: `active, {"department":"Looms","manager":{"value":"$mia"}}`, events: "updated department"},
	{by: entra, body: `{"op":"Add","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager","value":"$ann"}`, show: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", then: `active, {"department":"Engines","manager":{"value":"$ann"}}`, events: "updated manager_id"},
	{by: entra, body: `{"op":"Replace","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager","value":[{"$ref":"../Users/$ann","value":"$ann"}]}`, show: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", then: `active, {"department":"Engines","manager":{"$ref":"../Users/$ann","value":"$ann"}}`, events: "updated manager_id"},
	{by: rfc, body: `{"op":"replace","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager","value":{"value":"$ann"}}`, show: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", then: `active, {"department":"Engines","manager":{"value":"$ann"}}`, events: "updated manager_id"},
	{by: entra, body: `{"op":"Remove","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager"}`, show: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", then: `active, {"department":"Engines"}`, events: "updated manager_id"},
	{by: entra, body: `{"op":"Replace","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager","value":""}`, show: "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User", then: `active, {"department":"Engines"}`, events: "updated manager_id"},
	{by: entra, body: `{"op":"Add","path":"urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User:CustomAttribute","value":"701984"}`, show: "urn:ietf:params:scim:schemas:extension:CustomExtensionName:2.0:User", then: `active, {"CustomAttribute":"701984"}`},
	{by: other, body: `{"op":"replace","value":{"groups":[{"value":"$id"}],"meta":{"version":"9"},"title":"Lead"}}`, show: "title", then: `active, "Lead"`, events: "updated title"},
	{by: other, body: `{"op":"add","path":"groups","value":[{"value":"$id"}]}`, code: 400, typ: "mutability", then: "active"},
	{by: other, body: `{"op":"remove","path":"userName"}`, code: 400, typ: "mutability", then: "active"},
	{by: other, body: `{"op":"replace","path":"id","value":"$ann"}`, code: 400, typ: "mutability", then: "active"},
	{by: other, body: `{"op":"remove","path":"emails","value":[]}`, code: 400, typ: "invalidValue", then: "active"},
	{by: rfc, body: `{"op":"remove","path":"emails[type eq \"home\"]"}`, code: 400, typ: "noTarget", then: "active"},
	{by: rfc, body: `{"op":"remove"}`, code: 400, typ: "noTarget", then: "active"},
	{by: other, body: `{"op":"replace","path":"shoeSize","value":38}`, code: 400, typ: "invalidPath", then: "active"},
	{by: other, body: `{"op":"replace","value":{"shoeSize":38}}`, code: 400, typ: "invalidPath", then: "active"},
	{by: other, body: `{"op":"replace","path":"manager","value":"$ann"}`, code: 400, typ: "invalidPath", then: "active"},
	{by: "Entra before 2018", body: `{"op":"Replace","path":"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User.employeeNumber","value":"7"}`, code: 400, typ: "invalidPath", then: "active"},
	{by: other, body: `{"op":"replace","path":"urn:ietf:params:scim:schemas:core:2.0:Users:userName","value":"eve@corp.example"}`, code: 400, typ: "invalidPath", then: "active"},
	{by: other, body: `{"op":"add","path":"emails","value":[{"value":"a@corp.example","colour":"red"}]}`, code: 400, typ: "invalidSyntax", then: "active"},
}

// grouping is how members come and go. Ann and Bob are in the group before.
var grouping = []said{
	{by: entra, body: `{"op":"Add","path":"members","value":[{"$ref":null,"value":"$cem"}]}`, then: "Ann, Bob, Cem", events: "member_added Cem"},
	{by: entra, body: `{"op":"Remove","path":"members","value":[{"$ref":null,"value":"$ann"}]}`, then: "Bob", events: "member_removed Ann"},
	{by: entra, body: `{"op":"remove","path":"members[value eq \"$ann\"]"}`, then: "Bob", events: "member_removed Ann"},
	{by: okta, body: `{"op":"remove","path":"members[value eq \"$ann\"]"},{"op":"add","path":"members","value":[{"value":"$cem","display":"test.user@okta.local"}]}`, then: "Bob, Cem", events: "member_removed Ann; member_added Cem"},
	{by: okta, body: `{"op":"replace","path":"members","value":[{"value":"$bob","display":"test.user@okta.local"},{"value":"$cem","display":"test.user@okta.local"}]}`, then: "Bob, Cem", events: "member_removed Ann; member_added Cem"},
	{by: okta, body: `{"op":"replace","value":{"id":"$id","displayName":"Test SCIMv2"}}`, then: "Ann, Bob", events: "updated"},
	{by: okta, method: "PUT", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"id":"$id","displayName":"Crew","members":[{"value":"$cem","display":"test.user@okta.local"}],"meta":{"resourceType":"Group"}}`, then: "Cem", events: "member_removed Ann; member_removed Bob; member_added Cem"},
	{by: entra, body: `{"op":"Replace","path":"displayName","value":"1879db59-3bdf-4490-ad68-ab880a269474updatedDisplayName"}`, then: "Ann, Bob", events: "updated"},
	{by: rfc, body: `{"op":"remove","path":"members"}`, then: "nobody", events: "member_removed Ann; member_removed Bob"},
	{by: rfc, body: `{"op":"replace","path":"members","value":[]}`, then: "nobody", events: "member_removed Ann; member_removed Bob"},
	{by: rfc, method: "PUT", body: `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:Group"],"displayName":"Crew"}`, then: "nobody", events: "member_removed Ann; member_removed Bob"},
	{by: rfc, body: `{"op":"remove","path":"members[value eq \"$ann\" or value eq \"$bob\"]"}`, then: "nobody", events: "member_removed Ann; member_removed Bob"},
	{by: entra, body: `{"op":"Remove","path":"members","value":[{"$ref":null,"value":"$cem"}]}`, then: "Ann, Bob"},
	{by: okta, body: `{"op":"remove","path":"members[value eq \"$cem\"]"}`, then: "Ann, Bob"},
	{by: other, body: `{"op":"add","path":"members","value":[{"value":"$ann"}]}`, then: "Ann, Bob"},
	{by: entra, method: "DELETE", code: http.StatusNoContent, then: "no group", events: "removed"},
	{by: other, body: `{"op":"remove","path":"members","value":[]}`, code: 400, typ: "invalidValue", then: "Ann, Bob"},
	{by: other, body: `{"op":"add","path":"members","value":[{"value":"somebody"}]}`, code: 400, typ: "invalidValue", then: "Ann, Bob"},
	{by: other, body: `{"op":"replace","path":"members[value eq \"$ann\"].value","value":"$cem"}`, code: 400, typ: "mutability", then: "Ann, Bob"},
	{by: other, body: `{"op":"remove","path":"member"}`, code: 400, typ: "invalidPath", then: "Ann, Bob"},
	{by: other, body: `{"op":"replace","path":"displayName","value":null}`, code: 400, typ: "mutability", then: "Ann, Bob"},
}

// bodies sends what is said, about somebody or something new each time.
type bodies struct {
	*world
	admin  person
	idp    *provider
	others map[string]string // name to id
}

// fill puts ids and names in.
func (b *bodies) fill(text, id, name string) string {
	pairs := []string{"$id", id, "$name", name, "$Name", strings.ToUpper(name[:1]) + name[1:]}
	for other, at := range b.others {
		pairs = append(pairs, "$"+other, at)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// send sends it to where it belongs.
func (b *bodies) send(t *testing.T, s said, path, id, name string) reply {
	t.Helper()
	var body any
	if s.body != "" {
		text := b.fill(s.body, id, name)
		if s.method == "" {
			text = `{"schemas":["` + schemaPatch + `"],"Operations":[` + text + `]}`
		}
		body = json.RawMessage(text)
	}
	method := s.method
	if method == "" {
		method = http.MethodPatch
	}
	return b.idp.do(t, method, path, body)
}

// answered holds an answer against what is said of it.
func (s said) answered(t *testing.T, r reply) {
	t.Helper()
	want := s.code
	if want == 0 {
		want = http.StatusOK
	}
	got, _ := r.body["scimType"].(string)
	if r.code != want || got != s.typ {
		t.Errorf("%s\nis answered with %d %s, want %d %s: %v", s.body, r.code, got, want, s.typ, r.body["detail"])
	}
}

// user sends what is said about a user, and holds what becomes of them.
func (b *bodies) user(t *testing.T, s said, name string, create bool) {
	t.Helper()
	var id string
	var skip []string
	path := "/Users"
	if !create {
		id = b.idp.create(t, name, schemaEnterprise, manager(b.others["mia"]))
		path, skip = "/Users/"+id, []string{"joined"}
		if s.before != "" {
			b.idp.must(t, http.StatusOK, "PATCH", path, json.RawMessage(`{"Operations":[`+s.before+`]}`))
		}
	}
	r := b.send(t, s, path, id, name)
	s.answered(t, r)
	if create {
		if id, _ = r.body["id"].(string); id == "" {
			return
		}
		path = "/Users/" + id
	}
	then := strings.ToLower(strings.TrimPrefix(b.admin.find(t, id).GetState().String(), "USER_STATE_"))
	if s.method != http.MethodDelete {
		if v := b.idp.must(t, http.StatusOK, "GET", path, nil)[s.show]; v != nil {
			text, _ := json.Marshal(v)
			then += ", " + string(text)
		}
		b.idp.must(t, http.StatusNoContent, "DELETE", path, nil)
	}
	if want := b.fill(s.then, id, name); then != want {
		t.Errorf("%s\nmakes %s, want %s", s.body, then, want)
	}
	b.emitted(t, s, skip, b.userEvents(t, id, b.admin.find(t, id).GetVersion()))
}

// emitted holds the events against what is said of them. All but DELETE are
// followed by one, whose event says that no other comes.
func (b *bodies) emitted(t *testing.T, s said, before, events []string) {
	t.Helper()
	for i, e := range events {
		kind, rest, _ := strings.Cut(e, " ")
		_, changed, _ := strings.Cut(rest, " ")
		events[i] = strings.TrimSpace(kind + " " + changed)
	}
	want := slices.Clone(before)
	if s.events != "" {
		want = append(want, strings.Split(s.events, "; ")...)
	}
	if s.method != http.MethodDelete {
		want = append(want, "removed")
	}
	if d := cmp.Diff(want, events); d != "" {
		t.Errorf("%s\nemits (-want +got):\n%s", s.body, d)
	}
}

// group sends what is said about a group of two.
func (b *bodies) group(t *testing.T, s said) {
	t.Helper()
	id := b.idp.createGroup(t, "Crew", b.others["ann"], b.others["bob"])
	path, version := "/Groups/"+id, 4
	s.answered(t, b.send(t, s, path, id, "crew"))
	then := "no group"
	if s.method != http.MethodDelete {
		g := b.idp.must(t, http.StatusOK, "GET", path, nil)
		var names []string
		list, _ := g["members"].([]any)
		for _, m := range list {
			name, _ := m.(object)["display"].(string)
			names = append(names, strings.TrimSuffix(name, " Example"))
		}
		if then = strings.Join(names, ", "); then == "" {
			then = "nobody"
		}
		if _, err := fmt.Sscanf(g["meta"].(object)["version"].(string), `W/"%d"`, &version); err != nil {
			t.Fatal(err)
		}
		version++
		b.idp.must(t, http.StatusNoContent, "DELETE", path, nil)
	}
	if then != s.then {
		t.Errorf("%s\nleaves %s, want %s", s.body, then, s.then)
	}
	var events []string
	for _, e := range b.memberEvents(t, id, int64(version)) {
		parts := strings.Fields(e) // such as "member_added Cem Example 4/3"
		events = append(events, parts[0]+" - "+strings.Join(parts[1:min(2, len(parts)-1)], ""))
	}
	b.emitted(t, s, []string{"created", "member_added Ann", "member_added Bob"}, events)
}

// What identity providers send does what docs/scim.md says, or is refused and changes
// nothing. B-ONB-17, in part: what else ends is shown where it ends. B-USR-04
func TestWhatIdentityProvidersSay(t *testing.T) {
	t.Parallel()
	w := start(t)
	b := &bodies{world: w, admin: w.signUp(t), others: map[string]string{}}
	b.idp = b.admin.provider(t, w, "Corp directory")
	for _, name := range []string{"ann", "bob", "cem", "mia"} {
		b.others[name] = b.idp.create(t, name)
	}
	n := 0
	for _, part := range []struct {
		list   []said
		create bool
	}{{leaving, false}, {joining, true}, {changing, false}} {
		for _, s := range part.list {
			n++
			b.user(t, s, fmt.Sprint("p", n), part.create)
		}
	}
	for _, s := range grouping {
		b.group(t, s)
	}
	if r, err := b.admin.users.ListUsers(t.Context(), &identityv1.ListUsersRequest{}); err != nil || len(r.GetUsers()) != 5 {
		t.Errorf("%d people are left, want 5: %v", len(r.GetUsers()), err)
	}
}

// Who was removed for being suspended for too long is known to their source, which has not
// removed them: it may switch them on again, and they join again as themselves. Whom the
// source deletes stays gone. B-ONB-13, B-ONB-17, B-USR-16, each in part.
func TestWhoComesBackAfterTheyWereRemovedForBeingSuspended(t *testing.T) {
	t.Parallel()
	w := start(t)
	b := &bodies{world: w, admin: w.signUp(t), others: map[string]string{}}
	b.idp = b.admin.provider(t, w, "Corp directory")
	other := b.admin.provider(t, w, "Another directory")
	b.admin.mustRemoveSuspendedAfter(t, 30*day)
	b.idp.create(t, "ann")
	var ids []string
	for i := range returning {
		ids = append(ids, b.idp.create(t, fmt.Sprint("r", i)))
		b.idp.setActive(t, ids[i], false)
	}
	w.later(t, 30*day, &b.admin)
	for i, s := range returning {
		id, name := ids[i], fmt.Sprint("r", i)
		path := "/Users/" + id
		if at := w.removal(t, id); at.GetReason() != eventv1.UserRemovalReason_USER_REMOVAL_REASON_SUSPENDED_TOO_LONG {
			t.Fatalf("%s was removed: %v", name, at)
		}
		other.must(t, http.StatusNotFound, "PATCH", path, patch("replace", "active", true)) // it is not theirs
		if s.before == gone {
			b.idp.must(t, http.StatusNoContent, "DELETE", path, nil)
		}
		to := path
		if s.method == http.MethodPost {
			to = "/Users"
		}
		r := b.send(t, s, to, id, name)
		s.answered(t, r)
		if got, ok := r.body["id"]; ok && got != id {
			t.Errorf("%s %s\nis about %v, not %s", s.method, s.body, got, id)
		}
		u := b.admin.find(t, id)
		then := strings.ToLower(strings.TrimPrefix(u.GetState().String(), "USER_STATE_"))
		if s.show != "" {
			text, _ := json.Marshal(b.idp.must(t, http.StatusOK, "GET", path, nil)[s.show])
			then += ", " + string(text)
		}
		if then != s.then {
			t.Errorf("%s %s\nmakes %s, want %s", s.method, s.body, then, s.then)
		}
		want := []string{"joined", "suspended", "removed"}
		if s.events != "" {
			want = append(want, s.events)
		} else if s.before != gone && s.method != http.MethodDelete {
			b.idp.must(t, http.StatusOK, "PATCH", path, patch("replace", "active", true)) // by which all events are known
			u, want = b.admin.find(t, id), append(want, "joined")
		}
		if joins := int32(strings.Count(strings.Join(want, " "), "joined")); u.GetJoinCount() != joins || u.GetRole() != identityv1.Role_ROLE_MEMBER {
			t.Errorf("%s %s\nmakes %v, want join count %d", s.method, s.body, u, joins)
		}
		events := w.userEvents(t, id, u.GetVersion())
		for i, e := range events {
			events[i], _, _ = strings.Cut(e, " ")
		}
		if d := cmp.Diff(want, events); d != "" {
			t.Errorf("%s %s\nemits (-want +got):\n%s", s.method, s.body, d)
		}
	}
	// They are in no list until they are there again, and then count as anybody.
	left := ids[slices.IndexFunc(returning, func(s said) bool { return s.method == http.MethodDelete })]
	if got := b.idp.must(t, http.StatusOK, "GET", "/Users?filter=id+eq+%22"+left+"%22", nil)["totalResults"]; got != 0. {
		t.Errorf("%v are listed who are gone", got)
	}
}

// table is what docs/scim.md shows of it.
func table(list []said) string {
	var b strings.Builder
	b.WriteString("| by | request | answer | then | events |\n|---|---|---|---|---|\n")
	for _, s := range list {
		request := strings.TrimSpace(s.method + " " + quoted(s.body))
		switch s.before {
		case "":
		case gone:
			request = "deleted before: " + request
		default:
			request = "inactive before: " + request
		}
		answer := strings.TrimSpace(fmt.Sprint(s.code, " ", s.typ))
		if s.code == 0 {
			answer = "200"
		}
		state, shown, _ := strings.Cut(s.then, ", {")
		if shown != "" {
			state += ", " + quoted("{"+shown)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", s.by, request, answer, state, s.events)
	}
	return b.String()
}

func quoted(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

// asked is a directory that says what is read of it.
type asked struct {
	scim.Directory
	reads string
}

func (a *asked) Authenticate(context.Context, string) (scim.Source, error) {
	return scim.Source{ID: uuid.New()}, nil
}

// ListUsers reads all people unless a condition says whom. That each condition goes by an
// index is TestSCIMFiltersGoByIndex of the store.
func (a *asked) ListUsers(_ context.Context, _ scim.Source, q scim.Query[scim.User]) (scim.Page[scim.User], error) {
	a.reads = everybody
	if q.Where != nil {
		a.reads = byIndex
	}
	return scim.Page[scim.User]{}, nil
}

// readFor is what is read for a filter.
func readFor(t *testing.T, filter string) string {
	t.Helper()
	dir := &asked{}
	h, err := scim.New(scim.Config{Directory: dir, CursorKey: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/scim/v2/Users?filter="+url.QueryEscape(strings.ReplaceAll(filter, "$then", "2026-01-01T00:00:00Z")), nil)
	r.Header.Set("Authorization", "Bearer token")
	h.ServeHTTP(httptest.NewRecorder(), r)
	return dir.reads
}

// docs/scim.md shows what the tests above send, what lists find, and what is read for
// them.
func TestSCIMTables(t *testing.T) {
	t.Parallel()
	for _, l := range listing {
		if got := readFor(t, l.filter); got != l.reads {
			t.Errorf("%s reads %q, and the table says %q", l.filter, got, l.reads)
		}
	}
	const file = "../../docs/scim.md"
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for name, want := range map[string]string{
		"leaving": table(leaving), "returning": table(returning), "joining": table(joining), "changing": table(changing), "grouping": table(grouping),
		"listing": listingTable(),
	} {
		before, rest, ok1 := strings.Cut(text, "<!-- "+name+" -->\n")
		got, after, ok2 := strings.Cut(rest, "<!-- end -->\n")
		if !ok1 || !ok2 {
			t.Fatalf("%s has no place for the table %s", file, name)
		}
		if got != want && !*update {
			t.Errorf("the table %s in docs/scim.md is another than the test's: go test ./services/identity-sync -run TestSCIMTables -update", name)
		}
		text = before + "<!-- " + name + " -->\n" + want + "<!-- end -->\n" + after
	}
	if *update {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
