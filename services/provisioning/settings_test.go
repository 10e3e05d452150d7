package provisioning_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"gatehouse.dev/libs/service"
	"gatehouse.dev/services/provisioning"
)

// Durations that cannot hold together end the start with one line that names them.
func TestSettings(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		cfg  provisioning.OperationTiming
		want string // settings in the error
	}{
		{"a call longer than its lease", provisioning.OperationTiming{CallTimeout: time.Minute}, "GATEHOUSE_CALL_TIMEOUT GATEHOUSE_LEASE"},
		{"a lease shorter than a call", provisioning.OperationTiming{Lease: 5 * time.Second}, "GATEHOUSE_CALL_TIMEOUT GATEHOUSE_LEASE"},
		{"a first pause longer than the longest", provisioning.OperationTiming{RetryFirst: time.Hour}, "GATEHOUSE_RETRY_FIRST GATEHOUSE_RETRY_LONGEST"},
		{"less than nothing", provisioning.OperationTiming{RetryRemoval: -time.Second}, "GATEHOUSE_RETRY_"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := provisioning.Run(t.Context(), provisioning.Config{OperationTiming: tt.cfg}, service.Listeners{}, slog.New(slog.DiscardHandler))
			if err == nil {
				t.Fatal("it starts")
			}
			for _, setting := range strings.Fields(tt.want) {
				if !strings.Contains(err.Error(), setting) {
					t.Errorf("%q does not name %s", err, setting)
				}
			}
		})
	}
}

// None of them is so short that apps and the database are asked without a pause, or so
// long that nothing is tried again.
func TestTimingFromEnv(t *testing.T) {
	t.Parallel()
	read := func(name, value string) error {
		env := service.NewEnv(func(n string) (string, bool) { return value, n == name })
		provisioning.TimingFromEnv(env)
		return env.Err()
	}
	for name, values := range map[string][]string{
		"GATEHOUSE_CALL_TIMEOUT": {"0s", "1ms", "11m"}, "GATEHOUSE_LEASE": {"1ms", "2h"},
		"GATEHOUSE_RETRY_FIRST": {"0s", "1ms", "2h"}, "GATEHOUSE_RETRY_LONGEST": {"1ms", "25h"},
		"GATEHOUSE_RETRY_REMOVAL": {"1ms", "1000h"}, "GATEHOUSE_LOOK_EVERY": {"1ms", "1000h"},
	} {
		for _, value := range values {
			if err := read(name, value); err == nil || !strings.Contains(err.Error(), name+" is not between") {
				t.Errorf("%s=%s: %v", name, value, err)
			}
		}
		if err := read(name, "10s"); err != nil {
			t.Errorf("%s=10s: %v", name, err)
		}
	}
}
