package naming

// LookUp is the statement that finds people.
func (p *People) LookUp() string { return p.lookUp }

// Marked are the ids of users in requests; see plansOf.
var Marked = marked
