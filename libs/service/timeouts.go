package service

import (
	"time"

	"gatehouse.dev/libs/ratelimit"
	"gatehouse.dev/libs/rpc"
)

// Timeouts bound what every process does. Zero fields have the defaults.
type Timeouts struct {
	// RPC is given to unary calls that bring no deadline, by who makes them and by who
	// serves them. [rpc.Deadline] if zero.
	RPC time.Duration
	// Stop is how long calls and then tasks may take to end. 10 s if zero.
	Stop time.Duration
}

const defaultStop = 10 * time.Second

// TimeoutsFromEnv reads GATEHOUSE_RPC_TIMEOUT (10s) and GATEHOUSE_STOP_TIMEOUT (10s).
func TimeoutsFromEnv(env Env) Timeouts {
	return Timeouts{
		RPC:  env.DurationWithin("GATEHOUSE_RPC_TIMEOUT", rpc.Deadline, time.Second, 10*time.Minute),
		Stop: env.DurationWithin("GATEHOUSE_STOP_TIMEOUT", defaultStop, time.Second, 10*time.Minute),
	}
}

// LimitsFromEnv reads GATEHOUSE_RATE_LIMITS, see [ratelimit.ParseLimits]: nil for none.
func LimitsFromEnv(env Env) *ratelimit.Limits {
	l, err := ratelimit.ParseLimits(env.String("GATEHOUSE_RATE_LIMITS", "true"))
	if err != nil {
		env.Refuse("GATEHOUSE_RATE_LIMITS: %w", err)
	}
	return l
}
