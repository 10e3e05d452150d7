package demoapp

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
)

var errTaken = refuse(http.StatusConflict, "uniqueness", "There is another with this name.")

// store holds the resources in the order in which they were made.
type store struct {
	file     string // empty: memory alone
	licences int    // 0: as many as come

	mu        sync.Mutex
	resources []*resource
}

func openStore(file string) (*store, error) {
	s := &store{file: file}
	b, err := os.ReadFile(file)
	if err == nil {
		err = json.Unmarshal(b, &s.resources)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return s, nil
}

func (s *store) all(kind string) []*resource {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []*resource{}
	for _, res := range s.resources {
		if res.Meta.ResourceType == kind {
			out = append(out, res)
		}
	}
	return out
}

// update lets f change a copy of the resources, which takes effect once it is on disk.
func (s *store) update(f func(all []*resource) ([]*resource, error)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next, err := f(slices.Clone(s.resources))
	if err != nil {
		return err
	}
	if err := s.save(next); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	s.resources = next
	return nil
}

// save replaces the file whole or not at all.
func (s *store) save(all []*resource) error {
	if s.file == "" {
		return nil
	}
	b, err := json.Marshal(all)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(s.file+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(s.file+".new", s.file)
}

func (s *store) create(res *resource) error {
	return s.update(func(all []*resource) ([]*resource, error) {
		all = append(all, res)
		return all, s.check(all, res)
	})
}

// patch makes all the changes or none.
func (s *store) patch(kind, id string, ops []operation) error {
	return s.update(func(all []*resource) ([]*resource, error) {
		i, err := find(all, kind, id)
		if err != nil {
			return nil, err
		}
		next := *all[i]
		for _, op := range ops {
			if err := next.apply(op); err != nil {
				return nil, err
			}
		}
		all[i] = &next
		return all, s.check(all, &next)
	})
}

// delete also takes a user out of the groups.
func (s *store) delete(kind, id string) error {
	return s.update(func(all []*resource) ([]*resource, error) {
		i, err := find(all, kind, id)
		if err != nil {
			return nil, err
		}
		all = slices.Delete(all, i, i+1)
		for i, g := range all {
			if slices.Contains(g.Members, value{id}) {
				next := *g
				next.Members = without(g.Members, id)
				all[i] = &next
			}
		}
		return all, nil
	})
}

func find(all []*resource, kind, id string) (int, error) {
	i := slices.IndexFunc(all, func(res *resource) bool { return res.ID == id && res.Meta.ResourceType == kind })
	if i < 0 {
		return 0, refuse(http.StatusNotFound, "", "There is no %s %.80q.", kind, id)
	}
	return i, nil
}

// check refuses a resource, which is one of all, without a name of its own, with a member that is not a user, or without a
// licence.
func (s *store) check(all []*resource, res *resource) error {
	if s.licences > 0 && res.Meta.ResourceType == "User" && !res.Disabled() {
		var used int
		for _, other := range all {
			if other.Meta.ResourceType == "User" && !other.Disabled() {
				used++
			}
		}
		if used > s.licences {
			return invalid("", "No licence is left: all %d are in use.", s.licences)
		}
	}
	if strings.TrimSpace(res.name()) == "" {
		return invalid("invalidValue", "The userName of a user, or the displayName of a group, is missing.")
	}
	users := map[string]bool{}
	for _, other := range all {
		if len(res.Members) > 0 && other.Meta.ResourceType == "User" {
			users[other.ID] = true
		}
		if other.ID != res.ID && other.Meta.ResourceType == res.Meta.ResourceType && strings.EqualFold(other.name(), res.name()) {
			return errTaken
		}
	}
	for _, m := range res.Members {
		if !users[m.Value] {
			return invalid("invalidValue", "There is no user %.80q that could be a member.", m.Value)
		}
	}
	return nil
}
