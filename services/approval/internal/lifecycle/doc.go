// Package lifecycle holds the rules of approval: which flow decides an item of
// a request, who reviews a step, and how an approval moves from being asked to
// its end. It is pure: no clock, no database, no ids of its own making.
//
// An approval:
//
//	          every step of every item approved
//	open ---------------------------------------> granted
//	  |   one denial
//	  |-----------------------------------------> denied
//	  |   the request is taken back
//	  `-----------------------------------------> cancelled
//
// A step of one item; steps of an item run in series, items beside each other:
//
//	waiting --> open --> approved
//	   |         |-----> denied
//	   `---------`-----> dropped     the approval ended elsewhere
//
// A task, one reviewer's decision in one step:
//
//	open --> approved
//	  |----> denied
//	  |----> dropped       others decided the step, or the approval ended
//	  `----> reassigned    somebody else was given it
//
// What is guaranteed, whatever is called in whatever order:
//
//   - Who asked and whose access it is about review nothing.
//   - A person has at most one say in a step.
//   - Nobody has a task in a step before the step before it is approved.
//   - A step is approved by decisions alone: one without anybody to decide
//     stays open, and is never approved because its reviewers are gone.
//   - What has ended does not change any more, and nobody has an open task in
//     it.
//   - An item without steps passes only if its flow says so in so many words.
package lifecycle
