package main

// examples are bodies that can be sent as they are, but for the ids, by RPC. A test
// holds them against the schemas.
var examples = map[string]string{
	"gatehouse.identity.v1.OrganizationService.SignUp":                     `{"organizationName": "Acme", "email": "ada@acme.example", "displayName": "Ada Byron"}`,
	"gatehouse.identity.v1.EnvironmentService.CreateEnvironment":           `{"name": "Acme North"}`,
	"gatehouse.identity.v1.SourceService.CreateSource":                     `{"name": "Corp directory", "kind": "SOURCE_KIND_SCIM"}`,
	"gatehouse.identity.v1.UserService.SetUserRole":                        `{"role": "ROLE_IT_ADMIN"}`,
	"gatehouse.identity.v1.UserService.CreateUser":                         `{"kind": "USER_KIND_SERVICE", "userName": "nightly-export", "displayName": "Nightly export", "accountableUserId": "01890000-0000-7000-8000-000000000001", "purpose": "Copies grants to the warehouse", "endTime": "2030-01-01T00:00:00Z"}`,
	"gatehouse.identity.v1.ApiTokenService.CreateApiToken":                 `{"name": "ci", "expireTime": "2030-01-01T00:00:00Z", "scopes": ["apps:read", "requests:write"]}`,
	"gatehouse.identity.v1.SessionService.DevSignIn":                       `{"userName": "ada@demo.example"}`,
	"gatehouse.identity.v1.IdentityProviderService.CreateIdentityProvider": `{"name": "Corp sign-in", "issuer": "https://corp.okta.com", "sourceId": "01890000-0000-7000-8000-000000000001", "userClaim": "sub", "userField": "USER_FIELD_EXTERNAL_ID"}`,
	"gatehouse.identity.v1.IdentityProviderService.UpdateIdentityProvider": `{"clientId": "0oa1", "clientSecret": "…", "state": "IDENTITY_PROVIDER_STATE_ENABLED"}`,
	"gatehouse.request.v1.RequestService.CreateRequest":                    `{"kind": "REQUEST_KIND_GRANT", "entitlementIds": ["01890000-0000-7000-8000-000000000001"], "until": "2030-01-01T00:00:00Z", "justification": "Joining the team"}`,
	"gatehouse.request.v1.RequestService.PreviewRequest":                   `{"request": {"kind": "REQUEST_KIND_GRANT", "entitlementIds": ["01890000-0000-7000-8000-000000000001"], "justification": "Joining the team"}}`,
	"gatehouse.request.v1.RequestService.CancelRequest":                    `{"reason": "No longer needed"}`,
	"gatehouse.request.v1.RequestService.AddComment":                       `{"text": "It is urgent"}`,
	"gatehouse.approval.v1.TaskService.ApproveTask":                        `{"comment": "Fine with me"}`,
	"gatehouse.approval.v1.TaskService.DenyTask":                           `{"reason": "Ask again in March"}`,
}
