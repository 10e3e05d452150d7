// Package resource has what those resources of the API have in common that can
// be changed: an etag (AIP-154), and an update of the fields that a mask names
// (AIP-134). Every Update RPC works by it:
//
//	u := resource.Update[*requestv1.App]{
//		Field: "app", Resource: in.GetApp(), Mask: in.GetUpdateMask(),
//		Fields: []string{"name", "owner_id"}, Rules: &requestv1.CreateAppRequest{},
//	}
//	after, err := u.Apply(before)
//
// It reads and writes messages, and knows nothing of what is stored.
package resource
