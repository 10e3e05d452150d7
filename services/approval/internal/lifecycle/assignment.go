package lifecycle

import "slices"

// refuseAssignment says why what was assigned is denied; empty if it is granted: who
// assigned it is an active admin or IT admin, a person, where the person and the apps
// are, and neither gets it nor answers for who does.
func (r Request) refuseAssignment() string {
	by := r.Assigner
	switch {
	case r.Kind != Grant:
		return "only access that is to come is assigned"
	case by.ID == "" || by.ID != r.Requester.ID || !by.CanDecide || !by.Administers:
		return r.Requester.Name + " is not an active admin, and assigns nothing"
	case by.ID == r.Beneficiary.ID || slices.Contains(r.AccountableIDs, by.ID):
		return "nobody assigns access to themselves, or to what they answer for"
	case !by.canDecideIn(r.EnvironmentID) || by.EnvironmentID != "" && by.EnvironmentID != r.Member.EnvironmentID:
		return by.Name + " is an admin of another environment"
	case !r.Member.Active:
		return r.Beneficiary.Name + " is not active"
	}
	for _, it := range r.Items {
		if by.EnvironmentID != "" && by.EnvironmentID != it.EnvironmentID {
			return by.Name + " does not administer where " + it.AppName + " belongs"
		}
	}
	return ""
}
