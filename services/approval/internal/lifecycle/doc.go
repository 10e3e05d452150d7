// Package lifecycle holds the rules of approval: which flow decides an item of
// a request, who reviews a step, and how an approval moves from open to its
// end. It is pure: it has no clock and no database, and imports the standard
// library only.
//
// An approval:
//
//	          every item is decided, and some are approved
//	open ---------------------------------------> granted
//	  |   every item is decided, and none is approved
//	  |-----------------------------------------> denied
//	  |   the request is cancelled before any is approved
//	  `-----------------------------------------> cancelled
//
// Each item is decided for itself: it is approved when every step of it is, denied by
// one denial, and cancelled with the request if it is neither by then.
//
// A step of one item; the steps of an item run in series, items in parallel:
//
//	pending --> open --> approved
//	   |         |-----> denied
//	   `---------`-----> cancelled   the item was denied, or the request cancelled
//
// A task, one reviewer's decision in one step:
//
//	open --> approved
//	  |----> denied
//	  |----> cancelled     others decided the step, or the item ended
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
//   - An item without steps is approved only if its flow says auto_approve, or if an
//     active admin has assigned it, to somebody else.
package lifecycle
