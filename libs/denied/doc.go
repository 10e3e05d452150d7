// Package denied has the calls that a service refuses written into the audit log, as
// events gatehouse.event.v1.CallDenied of the service itself.
//
// A refused call has its answer before anything of it is written: its own transaction
// is rolled back, and nobody waits. A [Recorder] counts it in memory and one worker
// writes, in transactions of its own, into the service's outbox:
//
//	first call ──▶ entry with count 1, at once
//	more alike ──▶ counted ──1 minute──▶ one entry with their count, and so on
//
// Calls are alike if they are of one organization, caller, credential, method, reason
// and address. So whoever calls in a loop writes an entry a minute. Of one credential
// so many kinds are told apart in a minute ([Limits]), further ones together, and so of
// an organization: what an attacker can vary makes no more entries. Memory is bounded
// likewise. What cannot even be counted together is in the log and in the metric
// gatehouse_calls_denied_lost.
//
// While the database is away calls go on being counted, and refused as ever. What was
// counted is written at a clean stop, and lost where the process is killed or the
// database is away as it stops: that is, at most what was counted in the last minute,
// or since the database went. Where the database goes away while an entry is committed,
// its calls may be told of twice.
//
// Callers of no organization, and those whom no signature or credential names, belong
// to no organization's log: they are counted in the metric gatehouse_calls_denied, as
// all are, and package rpc logs the call.
package denied
