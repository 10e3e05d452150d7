package authz_test

// Every package with a service, so that TestEveryMethodIsDeclared sees it.
import (
	_ "gatehouse.dev/proto/gen/gatehouse/approval/v1"
	_ "gatehouse.dev/proto/gen/gatehouse/audit/v1"
	_ "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	_ "gatehouse.dev/proto/gen/gatehouse/ops/v1"
	_ "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
	_ "gatehouse.dev/proto/gen/gatehouse/request/v1"
)
