package pgtest

// RowSecurityFaults lets the tests see what CheckRowSecurity would say.
var RowSecurityFaults = rowSecurityFaults
