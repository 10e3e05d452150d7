// Package lifecycle holds the rules of approval: which flow decides an item of
// a request, who reviews a step, and how an approval moves from open to its
// end. It is pure: it has no clock and no database, and imports the standard
// library only.
//
// An approval:
//
//	          every step of every item approved
//	open ---------------------------------------> granted
//	  |   one denial
//	  |-----------------------------------------> denied
//	  |   the request is cancelled
//	  `-----------------------------------------> cancelled
//
// A step of one item; the steps of an item run in series, items in parallel:
//
//	pending --> open --> approved
//	   |         |-----> denied
//	   `---------`-----> cancelled   the approval ended elsewhere
//
// A task, one reviewer's decision in one step:
//
//	open --> approved
//	  |----> denied
//	  |----> cancelled     others decided the step, or the approval ended
//	  `----> reassigned    somebody else was asked instead
//
// What is guaranteed, whatever is called in whatever order:
//
//   - Requester and beneficiary review nothing.
//   - A person decides at most once in a step.
//   - A person whose role is held in one environment decides there only.
//   - Nobody has a task in a step before the step before it is approved.
//   - Only decisions approve a step: one without reviewers stays open, and is
//     never approved because its reviewers are gone.
//   - What has ended does not change any more and has no open task.
//   - An item without steps is approved only if its flow says auto_approve.
package lifecycle
