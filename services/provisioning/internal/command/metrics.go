package command

import (
	"context"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/provisioning/internal/store"
)

// metrics counts what the engine does. The zero metrics counts nothing.
type metrics struct {
	activation metric.Float64Histogram
	operations metric.Int64Counter
	looks      metric.Int64Counter
	blocked    metric.Int64Counter
}

func newMetrics(p metric.MeterProvider, e *Engine) (m metrics, err error) {
	if p == nil {
		return m, nil
	}
	meter := p.Meter("gatehouse.dev/services/provisioning")
	m.activation, err = meter.Float64Histogram("gatehouse.provisioning.grant.activation",
		metric.WithDescription("Time from the approval of a grant to access."), metric.WithUnit("s"),
		metric.WithExplicitBucketBoundaries(.005, .01, .02, .05, .1, .25, .5, 1, 5, 30, 60, 600, 3600, 86400))
	if err != nil {
		return m, fmt.Errorf("make metric: %w", err)
	}
	m.operations, err = meter.Int64Counter("gatehouse.provisioning.operation.tries",
		metric.WithDescription("Tries of operations in apps, by result."))
	if err != nil {
		return m, fmt.Errorf("make metric: %w", err)
	}
	m.looks, err = meter.Int64Counter("gatehouse.provisioning.looks",
		metric.WithDescription("Looks at what people change in apps, by result."))
	if err != nil {
		return m, fmt.Errorf("make metric: %w", err)
	}
	m.blocked, err = meter.Int64Counter("gatehouse.provisioning.operation.failures",
		metric.WithDescription("Operations whose row could not be changed, so that they could not be claimed or taken over, by step. They are tried again."))
	if err != nil {
		return m, fmt.Errorf("make metric: %w", err)
	}
	block, err := meter.Int64ObservableGauge("gatehouse.provisioning.operation.blocked",
		metric.WithDescription("Operations that this replica could not claim or take over and tries again now and then."))
	if err != nil {
		return m, fmt.Errorf("make metric: %w", err)
	}
	debt, err := meter.Int64ObservableGauge("gatehouse.provisioning.revocation.debt",
		metric.WithDescription("Grants that have ended and are not known to be gone from the app, in all replicas together."))
	if err != nil {
		return m, fmt.Errorf("make metric: %w", err)
	}
	age, err := meter.Float64ObservableGauge("gatehouse.provisioning.revocation.debt.age",
		metric.WithDescription("Time since the end of the oldest grant that is not known to be gone from the app."), metric.WithUnit("s"))
	if err != nil {
		return m, fmt.Errorf("make metric: %w", err)
	}
	late, err := meter.Int64ObservableGauge("gatehouse.provisioning.checklist.overdue",
		metric.WithDescription("Checklists that are open after the time by which they should be done, in all replicas together."))
	if err != nil {
		return m, fmt.Errorf("make metric: %w", err)
	}
	waiting, err := meter.Int64ObservableGauge("gatehouse.provisioning.operation.waiting",
		metric.WithDescription("Operations that are to be made in apps and do not run, in all replicas together."))
	if err != nil {
		return m, fmt.Errorf("make metric: %w", err)
	}
	waitingAge, err := meter.Float64ObservableGauge("gatehouse.provisioning.operation.waiting.age",
		metric.WithDescription("Time since the oldest operation was asked for that is to be made and does not run."), metric.WithUnit("s"))
	if err != nil {
		return m, fmt.Errorf("make metric: %w", err)
	}
	throttled, err := meter.Int64ObservableGauge("gatehouse.provisioning.integration.throttled",
		metric.WithDescription("Integrations whose app has asked for no more calls for a time, in all replicas together."))
	if err != nil {
		return m, fmt.Errorf("make metric: %w", err)
	}
	_, err = meter.RegisterCallback(func(ctx context.Context, o metric.Observer) error {
		o.ObserveInt64(block, int64(e.blocked.size()))
		return e.db.AsSystemRead(ctx, func(ctx context.Context, tx *postgres.Tx) error {
			n, oldest, err := store.Debt(ctx, tx, e.clock.Now())
			if err == nil {
				o.ObserveInt64(debt, n)
				o.ObserveFloat64(age, oldest.Seconds())
				n, err = store.CountOverdue(ctx, tx)
			}
			if err != nil {
				return err
			}
			o.ObserveInt64(late, n)
			n, oldest, paused, err := store.Waiting(ctx, tx, e.clock.Now())
			if err == nil {
				o.ObserveInt64(waiting, n)
				o.ObserveFloat64(waitingAge, oldest.Seconds())
				o.ObserveInt64(throttled, paused)
			}
			return err
		})
	}, block, debt, age, late, waiting, waitingAge, throttled)
	if err != nil {
		return m, fmt.Errorf("make metric: %w", err)
	}
	return m, nil
}

func (m metrics) activated(after time.Duration) {
	if m.activation != nil {
		m.activation.Record(context.Background(), after.Seconds())
	}
}

func (m metrics) tried(result string, look bool) {
	if count := m.operations; count != nil {
		if look {
			count = m.looks
		}
		count.Add(context.Background(), 1, metric.WithAttributes(attribute.String("result", result)))
	}
}

func (m metrics) block(step string) {
	if m.blocked != nil {
		m.blocked.Add(context.Background(), 1, metric.WithAttributes(attribute.String("step", step)))
	}
}
