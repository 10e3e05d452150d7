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
