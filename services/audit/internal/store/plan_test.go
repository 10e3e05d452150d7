package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	newid "gatehouse.dev/libs/id"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/page"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/audit/internal/entry"
	"gatehouse.dev/services/audit/migrations"

	_ "gatehouse.dev/proto/gen/gatehouse/audit/v1" // the list is declared by its answer
)

// Every list is read by its index, row-level security or not. What may be the
// whole log is read in its order: a page of a long one costs as much as one of a
// short one. The few entries about one user or app may be sorted.
func TestListsUseTheirIndex(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, outbox.Schema(), postgres.Set{FS: migrations.FS})
	org, now := newid.New(), time.Now()
	var users, apps []uuid.UUID
	for range 50 {
		users, apps = append(users, newid.New()), append(apps, newid.New())
	}
	entries := make([]entry.Entry, 20_000)
	for i := range entries {
		entries[i] = entry.Entry{
			EventID: newid.New(), OrganizationID: org, Aggregate: []string{"grant", "request", "task", "user"}[i%4], Name: "changed",
			Time: now.Add(time.Duration(i) * time.Second),
			Keys: entry.Keys{
				ActorID: users[i%49].String(), UserID: users[i%50], AppID: apps[i%47], RequestIDs: []uuid.UUID{newid.New()},
			},
		}
	}
	err := db.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		Record(tx, now, entries)
		_, err := tx.Exec(ctx, "analyze audit_entry, audit_entry_request")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	place := page.Encode(strconv.FormatInt(now.Add(10_000*time.Second).UnixMicro(), 10), "10000")
	for name, c := range map[string]struct {
		filter Filter
		after  string
		index  string
		few    bool
	}{
		"all":       {Filter{}, "", "audit_entry_time", false},
		"next page": {Filter{}, place, "audit_entry_time", false},
		"time":      {Filter{Since: now, Before: now.Add(time.Hour)}, "", "audit_entry_time", false},
		"event":     {Filter{Aggregate: "grant", Name: "changed"}, place, "audit_entry_event", false},
		"actor":     {Filter{ActorID: users[0].String(), Before: now.Add(time.Hour)}, "", "audit_entry_actor", false},
		"user":      {Filter{UserID: users[0]}, place, "audit_entry_user", true},
		"app":       {Filter{AppID: apps[0]}, place, "audit_entry_app", true},
		"request":   {Filter{RequestID: entries[0].RequestIDs[0]}, "", "audit_entry_request_pkey", true},
	} {
		asked, err := EntryList.Page(50, c.after)
		if err != nil {
			t.Fatal(err)
		}
		var plan []string
		err = db.InOrganizationRead(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
			sql, args := listQuery(org, c.filter, asked)
			// As the service has it planned: once, for whatever is asked.
			if _, err := tx.Exec(ctx, "prepare list as "+sql); err != nil {
				return err
			}
			defer func() { _, _ = tx.Exec(ctx, "deallocate list") }()
			rows, err := tx.Query(ctx, "explain execute list ("+literals(args)+")")
			if err != nil {
				return err
			}
			plan, err = pgx.CollectRows(rows, pgx.RowTo[string])
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		text := strings.Join(plan, "\n")
		if !strings.Contains(text, c.index) || strings.Contains(text, "Seq Scan") || !c.few && strings.Contains(text, "Sort") {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}

// literals are arguments as they stand in a statement.
func literals(args []any) string {
	texts := make([]string, len(args))
	for i, a := range args {
		if at, ok := a.(time.Time); ok {
			a = at.Format(time.RFC3339Nano)
		}
		texts[i] = fmt.Sprintf("'%v'", a)
	}
	return strings.Join(texts, ", ")
}

// Latencies are read by indexes: of a long log only what they are about.
func TestLatenciesUseTheirIndex(t *testing.T) {
	t.Parallel()
	db := pgtest.Open(t, outbox.Schema(), postgres.Set{FS: migrations.FS})
	org, now := newid.New(), time.Now()
	entries := make([]entry.Entry, 20_000)
	for i := range entries {
		what := [][2]string{{"request", "submitted"}, {"approval", "granted"}, {"grant", "activated"}, {"grant", "ended"}, {"grant", "revoked"}, {"user", "updated"}}[i%6]
		entries[i] = entry.Entry{
			EventID: newid.New(), OrganizationID: org, Aggregate: what[0], Name: what[1], Time: now.Add(time.Duration(i) * time.Second),
			Keys: entry.Keys{ActorID: "provisioning", UserID: newid.New(), AppID: newid.New(), RequestIDs: []uuid.UUID{newid.New()}},
		}
	}
	err := db.AsSystem(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
		Record(tx, now, entries)
		_, err := tx.Exec(ctx, "analyze audit_entry, audit_entry_request")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, sql := range map[string]string{"pending": pendingWaits, "access": accessWaits, "removal": removals, "audit": auditWaits} {
		err := db.InOrganizationRead(t.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
			rows, err := tx.Query(ctx, "explain "+sql, org, now.Add(1000*time.Second), now.Add(2000*time.Second), MaxMeasured)
			if err != nil {
				return err
			}
			plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if text := strings.Join(plan, "\n"); err == nil && strings.Contains(text, "Seq Scan") {
				t.Errorf("%s:\n%s", name, text)
			}
			return err
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
}
