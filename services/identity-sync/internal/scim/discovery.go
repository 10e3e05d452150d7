package scim

import (
	"net/http"
	"strings"
)

// discover answers GET on a discovery endpoint: all, or the one with the id.
// Filters are refused, as RFC 7644, section 4 says.
func (h *Handler) discover(c *call, id string, all []map[string]any) error {
	v, err := parameters(c.r.URL.RawQuery)
	if err != nil {
		return err
	}
	if v.Has("filter") {
		return fail(http.StatusForbidden, "filters are not supported here")
	}
	if id == "" {
		list := make([]any, len(all))
		for i, r := range all {
			list[i] = r
		}
		total := len(list)
		return h.answerList(c, page{resources: list, total: &total, start: 1})
	}
	for _, r := range all {
		if name, _ := r["id"].(string); strings.EqualFold(name, id) {
			return h.answer(c, http.StatusOK, r)
		}
	}
	return fail(http.StatusNotFound, "there is no %s", quoted(id))
}

func (h *Handler) schemas(c *call) []map[string]any {
	var out []map[string]any
	for _, t := range []*resourceType{h.users, h.groups} {
		for _, s := range append([]*schema{t.core}, t.extensions...) {
			out = append(out, map[string]any{
				"schemas":     []string{urnSchema},
				"id":          s.id,
				"name":        s.name,
				"description": s.doc,
				"attributes":  describeAll(s.attributes),
				"meta": map[string]any{
					"resourceType": "Schema",
					"location":     c.base + "/Schemas/" + s.id,
				},
			})
		}
	}
	return out
}

func (h *Handler) resourceTypes(c *call) []map[string]any {
	var out []map[string]any
	for _, t := range []*resourceType{h.users, h.groups} {
		extensions := []map[string]any{}
		for _, e := range t.extensions {
			extensions = append(extensions, map[string]any{"schema": e.id, "required": false})
		}
		out = append(out, map[string]any{
			"schemas":          []string{urnType},
			"id":               t.name,
			"name":             t.name,
			"description":      t.doc,
			"endpoint":         t.endpoint,
			"schema":           t.core.id,
			"schemaExtensions": extensions,
			"meta": map[string]any{
				"resourceType": "ResourceType",
				"location":     c.base + "/ResourceTypes/" + t.name,
			},
		})
	}
	return out
}

func (h *Handler) serviceProviderConfig(c *call) error {
	return h.answer(c, http.StatusOK, map[string]any{
		"schemas":        []string{urnConfig},
		"patch":          map[string]any{"supported": true},
		"bulk":           map[string]any{"supported": false, "maxOperations": 0, "maxPayloadSize": 0},
		"filter":         map[string]any{"supported": true, "maxResults": h.cfg.MaxPageSize},
		"changePassword": map[string]any{"supported": false},
		"sort":           map[string]any{"supported": false},
		"etag":           map[string]any{"supported": true},
		"pagination": map[string]any{
			"cursor": true, "index": true, "defaultPaginationMethod": "index",
			"defaultPageSize": h.cfg.PageSize, "maxPageSize": h.cfg.MaxPageSize, "cursorTimeout": int(h.cfg.CursorTimeout.Seconds()),
		},
		"authenticationSchemes": []map[string]any{{
			"type":        "oauthbearertoken",
			"name":        "Bearer token",
			"description": "The token of a SCIM source, in the Authorization header",
			"specUri":     "https://www.rfc-editor.org/info/rfc6750",
			"primary":     true,
		}},
		"meta": map[string]any{
			"resourceType": "ServiceProviderConfig",
			"location":     c.base + "/ServiceProviderConfig",
		},
	})
}
