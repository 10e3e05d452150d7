package outbox

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"gatehouse.dev/libs/telemetry"
)

// metrics of a relay.
type metrics struct {
	meter  metric.Meter
	events metric.Int64Counter
	lag    metric.Float64Histogram
	depth  metric.Int64ObservableGauge
}

func newMetrics(t *telemetry.Telemetry) (*metrics, error) {
	m := &metrics{meter: t.Meter("gatehouse.dev/libs/outbox")}
	var err error
	if m.events, err = m.meter.Int64Counter("gatehouse_events_published",
		metric.WithDescription("Events that the stream has acknowledged.")); err != nil {
		return nil, fmt.Errorf("make relay metrics: %w", err)
	}
	if m.lag, err = m.meter.Float64Histogram("gatehouse_relay_lag", metric.WithUnit("s"),
		metric.WithDescription("From an event's time to its acknowledgement by the stream."),
		metric.WithExplicitBucketBoundaries(telemetry.LatencyBuckets()...)); err != nil {
		return nil, fmt.Errorf("make relay metrics: %w", err)
	}
	if m.depth, err = m.meter.Int64ObservableGauge("gatehouse_outbox_depth",
		metric.WithDescription("Committed events that the stream has not acknowledged yet, counted up to 100000.")); err != nil {
		return nil, fmt.Errorf("make relay metrics: %w", err)
	}
	return m, nil
}

// watch asks depth at every scrape until stop is called.
func (m *metrics) watch(depth func(context.Context) (int64, error)) (stop func(), err error) {
	reg, err := m.meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		n, err := depth(ctx)
		if err == nil {
			o.ObserveInt64(m.depth, n)
		}
		return err
	}, m.depth)
	if err != nil {
		return nil, fmt.Errorf("watch the outbox: %w", err)
	}
	return func() { _ = reg.Unregister() }, nil
}

func (m *metrics) published(rows []row) {
	now := time.Now()
	for i := range rows {
		ctx := context.Background()
		attrs := metric.WithAttributes(attribute.String("type", rows[i].typ))
		m.events.Add(ctx, 1, attrs)
		m.lag.Record(ctx, max(now.Sub(rows[i].time).Seconds(), 0))
	}
}
