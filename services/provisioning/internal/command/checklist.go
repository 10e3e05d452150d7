package command

import (
	"github.com/google/uuid"

	"gatehouse.dev/services/provisioning/internal/lifecycle"
	"gatehouse.dev/services/provisioning/internal/store"
)

// addToChecklist puts an open item on a checklist.
func (cs *changeset) addToChecklist(s *store.Assignment, i *store.WorkItem, list lifecycle.List) {
	i.List = list
	if list == lifecycle.NoList {
		return
	}
	id := store.ChecklistID(s.User, s.Environment, list, s.Person.JoinCount)
	c := cs.count(id)
	c.Kind, c.UserID, c.EnvironmentID, c.JoinCount = list, s.User, s.Environment, s.Person.JoinCount
	c.Open++
	c.Items++
	i.ChecklistID = uuid.NullUUID{UUID: id, Valid: true}
}

// removeFromChecklist takes an open item from its checklist: it is over, or stands elsewhere.
func (cs *changeset) removeFromChecklist(i *store.WorkItem, elsewhere bool) {
	if !i.ChecklistID.Valid {
		return
	}
	c := cs.count(i.ChecklistID.UUID)
	c.UserID = i.UserID
	c.Open--
	if elsewhere {
		c.Items--
		i.ChecklistID = uuid.NullUUID{}
	}
}

// count is what this step changes about a checklist.
func (cs *changeset) count(id uuid.UUID) *store.Count {
	steps := cs.counts[id]
	if n := len(steps); n > 0 && steps[n-1].step == cs.step {
		return steps[n-1].Count
	}
	c := &store.Count{Checklist: store.Checklist{ID: id}}
	cs.counts[id] = append(steps, stepCount{c, cs.step})
	return c
}
