package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// errIncompatible marks a stream that must not be changed by a service.
var errIncompatible = errors.New("incompatible stream")

// EnsureStream makes the stream if it is absent. If this service keeps it, it
// brings replicas, limits, dedupe window and batch publishing in line, and forbids
// that messages are deleted. A stream
// with other subjects, storage or retention is left alone and is an error.
// Safe to call at any time by any number of services.
func (b *Bus) EnsureStream(ctx context.Context) error {
	return b.ensure(ctx, b.streamConfig(Stream, AllSubjects, "Every event of Gatehouse"))
}

// EnsureJSONStream is EnsureStream for [JSONStream], which is kept as the other
// is. For the service alone that keeps it.
func (b *Bus) EnsureJSONStream(ctx context.Context) error {
	return b.ensure(ctx, b.streamConfig(JSONStream, AllJSONSubjects, "Every event of Gatehouse, in JSON"))
}

func (b *Bus) ensure(ctx context.Context, model jetstream.StreamConfig) error {
	stream, err := b.js.Stream(ctx, model.Name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		_, err = b.js.CreateStream(ctx, model)
		if !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			if err != nil {
				return fmt.Errorf("create stream %s: %w", model.Name, err)
			}
			return nil
		}
		// Somebody else was faster, with another configuration.
		if stream, err = b.js.Stream(ctx, model.Name); err != nil {
			return fmt.Errorf("look up stream %s: %w", model.Name, err)
		}
	case err != nil:
		return fmt.Errorf("look up stream %s: %w", model.Name, err)
	}
	have := stream.CachedInfo().Config
	want, change, err := b.reconcile(have, model)
	if err != nil || !change || !b.cfg.Keeps {
		return err
	}
	if _, err := b.js.UpdateStream(ctx, want); err != nil {
		return fmt.Errorf("update stream %s: %w", model.Name, err)
	}
	b.log.Info("Updated the stream", "stream", model.Name, "replicas", want.Replicas, "max_age", want.MaxAge, "max_bytes", want.MaxBytes)
	return nil
}

func (b *Bus) streamConfig(name, subjects, description string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              name,
		Description:       description,
		Subjects:          []string{subjects},
		Storage:           jetstream.FileStorage,
		Retention:         jetstream.LimitsPolicy,
		Discard:           jetstream.DiscardOld,
		Replicas:          max(b.cfg.Replicas, 1),
		MaxAge:            b.cfg.MaxAge,
		MaxBytes:          cmp.Or(b.cfg.MaxBytes, -1),
		Duplicates:        window(b.cfg.MaxAge),
		AllowBatchPublish: true,
		AllowDirect:       true,
		// Events go by age and amount alone, whoever asks.
		DenyDelete: true,
		DenyPurge:  true,
	}
}

// window is the dedupe window of a stream: the server wants it no longer than
// the age limit.
func window(maxAge time.Duration) time.Duration {
	if maxAge > 0 {
		return min(dedupeWindow, maxAge)
	}
	return dedupeWindow
}

// reconcile is what a stream should be made into after the model, and whether
// that differs from what it is.
func (b *Bus) reconcile(have, model jetstream.StreamConfig) (want jetstream.StreamConfig, change bool, err error) {
	switch {
	case !slices.Equal(have.Subjects, model.Subjects):
		return want, false, fmt.Errorf("%w: stream %s has subjects %v, not %v", errIncompatible, model.Name, have.Subjects, model.Subjects)
	case have.Storage != model.Storage:
		return want, false, fmt.Errorf("%w: stream %s is not kept on disk", errIncompatible, model.Name)
	case have.Retention != model.Retention:
		return want, false, fmt.Errorf("%w: stream %s drops events once they are read", errIncompatible, model.Name)
	}
	want = have
	if b.cfg.Replicas > 0 {
		want.Replicas = model.Replicas
	}
	if b.cfg.MaxAge > 0 {
		want.MaxAge = model.MaxAge
	}
	if b.cfg.MaxBytes > 0 {
		want.MaxBytes = model.MaxBytes
	}
	want.Duplicates = window(want.MaxAge)
	want.AllowBatchPublish, want.DenyDelete, want.DenyPurge = true, true, true
	change = want.Replicas != have.Replicas || want.MaxAge != have.MaxAge || want.MaxBytes != have.MaxBytes ||
		want.Duplicates != have.Duplicates || !have.AllowBatchPublish || !have.DenyDelete || !have.DenyPurge
	return want, change, nil
}
