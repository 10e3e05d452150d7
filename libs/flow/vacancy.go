package flow

// Help says what would give a step somebody to decide it, if nobody can: each by
// itself. reviewers is how the step finds them (a ReviewerKind as a word), environment
// says that the request belongs to one.
func Help(reviewers, beneficiary string, environment bool) []string {
	var help []string
	switch reviewers {
	case "manager":
		help = append(help, "give "+beneficiary+" a manager")
	case "app_owner":
		help = append(help, "name an owner of the app")
	case "app_approvers":
		help = append(help, "name an approver of the app")
	case "groups":
		help = append(help, "add somebody to a group that the step names")
	}
	help = append(help, "name an admin of the app")
	if environment {
		help = append(help, "make somebody an admin of the environment")
	}
	return append(help, "make somebody an admin of the organization")
}
