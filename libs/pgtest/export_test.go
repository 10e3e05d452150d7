package pgtest

// RowSecurityFaults lets the tests see what CheckRowSecurity would say.
var RowSecurityFaults = rowSecurityFaults

// Breaks lets them see what CheckAdditive would say.
var Breaks = breaks
