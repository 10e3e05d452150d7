package inbox

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"gatehouse.dev/libs/telemetry"
)

// metrics of a consumer.
type metrics struct {
	meter  metric.Meter
	events metric.Int64Counter
	lag    metric.Float64Histogram
	parked metric.Int64ObservableGauge
}

func newMetrics(t *telemetry.Telemetry) (*metrics, error) {
	m := &metrics{meter: t.Meter("gatehouse.dev/libs/inbox")}
	var err error
	if m.events, err = m.meter.Int64Counter("gatehouse_events_consumed",
		metric.WithDescription("Deliveries of events, by type and by what became of them.")); err != nil {
		return nil, fmt.Errorf("make consumer metrics: %w", err)
	}
	if m.lag, err = m.meter.Float64Histogram("gatehouse_handle_lag", metric.WithUnit("s"),
		metric.WithDescription("From an event's time to the commit of its effect here."),
		metric.WithExplicitBucketBoundaries(telemetry.LatencyBuckets()...)); err != nil {
		return nil, fmt.Errorf("make consumer metrics: %w", err)
	}
	if m.parked, err = m.meter.Int64ObservableGauge("gatehouse_events_parked",
		metric.WithDescription("Events that could not be handled and wait for somebody to replay them.")); err != nil {
		return nil, fmt.Errorf("make consumer metrics: %w", err)
	}
	return m, nil
}

// watch asks parked at every scrape until stop is called.
func (m *metrics) watch(parked func(context.Context) (int64, error)) (stop func(), err error) {
	reg, err := m.meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		n, err := parked(ctx)
		if err == nil {
			o.ObserveInt64(m.parked, n)
		}
		return err
	}, m.parked)
	if err != nil {
		return nil, fmt.Errorf("watch parked events: %w", err)
	}
	return func() { _ = reg.Unregister() }, nil
}

// consumed counts deliveries that were acknowledged after a commit.
func (m *metrics) consumed(batch []*delivery, out outcome) {
	now := time.Now()
	for _, d := range batch {
		fresh := out.fresh[d.ID]
		delete(out.fresh, d.ID) // the next one in this batch is not
		switch {
		case !fresh:
			m.count(d, "duplicate")
		case d.Message == nil:
			m.count(d, "ignored")
		default:
			m.count(d, "handled")
			m.lag.Record(context.Background(), max(now.Sub(d.Time).Seconds(), 0), metric.WithAttributes(attribute.String("type", d.Type)))
		}
	}
}

func (m *metrics) count(d *delivery, result string) {
	m.events.Add(context.Background(), 1, metric.WithAttributes(
		attribute.String("type", d.Type), attribute.String("result", result)))
}
