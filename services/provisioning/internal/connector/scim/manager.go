package scim

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse.dev/services/provisioning/internal/connector"
)

const (
	naming      = "set the manager"
	managerPath = enterpriseUser + ":manager"
	schemasTTL  = time.Hour // how long it is believed whether an app keeps managers
)

// SetManager implements connector.Connector.
func (c *Connector) SetManager(ctx context.Context, accountID, managerID string, written []string) error {
	if err := checkID(accountID); err != nil {
		return err
	}
	if managerID == "" && len(written) == 0 {
		return nil
	}
	ctx, cancel := c.bound(ctx)
	defer cancel()
	keeps, err := c.keepsManagers(ctx)
	if err != nil || keeps == no {
		return err
	}
	op := operation{Op: "replace", Path: managerPath, Value: map[string]string{"value": managerID}}
	if managerID == "" {
		switch has, err := c.profile(ctx, naming, accountID); {
		case err != nil:
			return err
		case !slices.Contains(written, string(has.Enterprise.Manager)):
			return nil
		}
		op = operation{Op: "remove", Path: managerPath}
	}
	r, err := c.patchUser(ctx, naming, accountID, op)
	if err == nil && managerID != "" && (r.status == http.StatusBadRequest || r.status == http.StatusNotImplemented) {
		// The app does not understand the path.
		r, err = c.patchUser(ctx, naming, accountID, operation{Op: "replace", Value: map[string]any{enterpriseUser: map[string]any{"manager": map[string]string{"value": managerID}}}})
	}
	switch {
	case err != nil:
		return err
	case r.noTarget():
		return nil
	case r.status == http.StatusNotFound:
		if err := c.answers(ctx, naming); err != nil {
			return err
		}
		return gone(naming)
	case keeps == unsaid && (r.status == http.StatusBadRequest || r.status == http.StatusNotImplemented):
		c.managers.Store(&kept{no, time.Now()})
		return nil
	case !r.ok():
		return c.refused(naming, r)
	case r.status != http.StatusAccepted:
		return nil
	}
	has, err := c.profile(ctx, naming, accountID)
	if err != nil || string(has.Enterprise.Manager) == managerID {
		return err
	}
	return connector.NewError(connector.Retryable, nil, "%s: the app accepted it and has not done it yet", naming)
}

// keeping is whether an app keeps managers.
type keeping uint8

const (
	unsaid keeping = iota // it does not say
	yes
	no
)

// kept is what was found out about that, and when.
type kept struct {
	keeping

	at time.Time
}

// keepsManagers finds out once in a while whether the app keeps managers: they are of the enterprise extension, which not
// every app has.
func (c *Connector) keepsManagers(ctx context.Context) (keeping, error) {
	if k := c.managers.Load(); k != nil && time.Since(k.at) < schemasTTL {
		return k.keeping, nil
	}
	const doing = "read what the app keeps of a person"
	r, err := c.send(ctx, doing, http.MethodGet, "/Schemas", nil, true)
	if err != nil {
		return unsaid, err
	}
	says := unsaid
	switch e := c.refused(doing, r); {
	case r.ok():
		says = managersIn(r.body)
	case e.Kind == connector.Retryable, e.Kind == connector.Unauthorized:
		return unsaid, e
	}
	c.managers.Store(&kept{says, time.Now()})
	return says, nil
}

// managersIn says whether a list of schemas has managers.
func managersIn(body []byte) keeping {
	var schemas list[struct {
		ID         string `json:"id"`
		Attributes []struct {
			Name string `json:"name"`
		} `json:"attributes"`
	}]
	if json.Unmarshal(body, &schemas) != nil || len(schemas.Resources) == 0 {
		return unsaid
	}
	for _, s := range schemas.Resources {
		if !strings.EqualFold(s.ID, enterpriseUser) {
			continue
		}
		for _, a := range s.Attributes {
			if strings.EqualFold(a.Name, "manager") {
				return yes
			}
		}
		if len(s.Attributes) == 0 {
			return unsaid
		}
	}
	return no
}

// managerID is the id of a manager's account, which some apps give without the structure around it.
type managerID string

func (m *managerID) UnmarshalJSON(b []byte) error {
	var v struct {
		Value string `json:"value"`
	}
	if json.Unmarshal(b, &v) == nil {
		*m = managerID(v.Value)
		return nil
	}
	var id string
	_ = json.Unmarshal(b, &id) // anything else is an id that Gatehouse has not written
	*m = managerID(id)
	return nil
}
