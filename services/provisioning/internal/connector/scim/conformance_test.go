package scim_test

import (
	"testing"

	"go.uber.org/goleak"

	"gatehouse.dev/services/provisioning/internal/connector/connectortest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// B-PRV-12, B-PRV-04, B-PRV-05: against a server that shares no code with Gatehouse.
func TestConformanceScimmy(t *testing.T) {
	t.Parallel()
	url := startScimmy(t)
	connectortest.Run(t, factory(url, false))
}

// B-PRV-12, B-PRV-04: against the app that the demo organization provisions into.
func TestConformanceDemoApp(t *testing.T) {
	t.Parallel()
	url := startDemoApp(t)
	connectortest.Run(t, factory(url, true))
}
