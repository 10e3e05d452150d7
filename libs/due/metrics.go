package due

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/telemetry"
)

// metrics of a queue.
type metrics struct {
	meter                 metric.Meter
	failures              metric.Int64Counter
	lateness              metric.Float64Histogram
	waiting, late, oldest metric.Float64ObservableGauge
}

func newMetrics(t *telemetry.Telemetry) (*metrics, error) {
	m := &metrics{meter: t.Meter("gatehouse.dev/libs/due")}
	var err error
	if m.failures, err = m.meter.Int64Counter("gatehouse.due.failures",
		metric.WithDescription("Attempts of due items that failed, by kind.")); err != nil {
		return nil, fmt.Errorf("make due-queue metrics: %w", err)
	}
	if m.lateness, err = m.meter.Float64Histogram("gatehouse.due.lateness", metric.WithUnit("s"),
		metric.WithDescription("From the time an item was due to the commit of its effect."),
		metric.WithExplicitBucketBoundaries(telemetry.LatencyBuckets()...)); err != nil {
		return nil, fmt.Errorf("make due-queue metrics: %w", err)
	}
	for gauge, g := range map[*metric.Float64ObservableGauge]struct{ name, unit, text string }{
		&m.waiting: {"gatehouse.due.waiting", "{item}", "Items that are not due yet or not done, by kind, of all replicas together."},
		&m.late:    {"gatehouse.due.late", "{item}", "Items that should have happened and have not, by kind, of all replicas together."},
		&m.oldest:  {"gatehouse.due.late.age", "s", "Time since the oldest late item was due, by kind; 0 if none is late."},
	} {
		if *gauge, err = m.meter.Float64ObservableGauge(g.name, metric.WithUnit(g.unit), metric.WithDescription(g.text)); err != nil {
			return nil, fmt.Errorf("make due-queue metrics: %w", err)
		}
	}
	return m, nil
}

// watch counts at every scrape until stop is called.
func (m *metrics) watch(q *Queue) (stop func(), err error) {
	reg, err := m.meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		now := q.cfg.Clock.Now()
		return q.cfg.DB.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			for kind := range q.handlers {
				var waiting, late, age float64
				err := tx.QueryRow(ctx, `
select count(*)::float8, (count(*) filter (where due_time < $2))::float8,
       coalesce(extract(epoch from $3::timestamptz - min(due_time) filter (where due_time < $2)), 0)::float8
from due where kind = $1`, kind, now.Add(-q.cfg.LateAfter), now).Scan(&waiting, &late, &age)
				if err != nil {
					return err
				}
				by := metric.WithAttributes(attribute.String("kind", kind))
				o.ObserveFloat64(m.waiting, waiting, by)
				o.ObserveFloat64(m.late, late, by)
				o.ObserveFloat64(m.oldest, age, by)
			}
			return nil
		})
	}, m.waiting, m.late, m.oldest)
	if err != nil {
		return nil, fmt.Errorf("watch due items: %w", err)
	}
	return func() { _ = reg.Unregister() }, nil
}

func (m *metrics) handled(items []Item, now time.Time) {
	for _, i := range items {
		m.lateness.Record(context.Background(), max(now.Sub(i.Time).Seconds(), 0), metric.WithAttributes(attribute.String("kind", i.Kind)))
	}
}

func (m *metrics) failed(i Item) {
	m.failures.Add(context.Background(), 1, metric.WithAttributes(attribute.String("kind", i.Kind)))
}
