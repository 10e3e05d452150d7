package request_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/backend"
	"gatehouse.dev/libs/filter/filtertest"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/pgtest"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/request/internal/store"
	"gatehouse.dev/services/request/migrations"
)

// largeCatalog is an organization with 5,000 apps and 100,000 entitlements, all described in
// words of which some are frequent and most are rare. Somebody holds something in 20 apps.
func largeCatalog(b *testing.B, db *postgres.DB) (org, user uuid.UUID) {
	b.Helper()
	const apps, each = 5_000, 20
	org, user = id.New(), id.New()
	random := rand.New(rand.NewPCG(1, 2))
	vocabulary := make([]string, 4_000)
	for n := range vocabulary {
		var w strings.Builder
		for range 2 + random.IntN(3) {
			w.WriteByte("bcdfghklmnprstvw"[random.IntN(16)])
			w.WriteByte("aeiou"[random.IntN(5)])
		}
		vocabulary[n] = w.String()
	}
	frequent := rand.NewZipf(random, 1.2, 4, uint64(len(vocabulary)-1))
	text := func(n int) string {
		words := make([]string, n)
		for i := range words {
			words[i] = vocabulary[frequent.Uint64()]
		}
		return strings.Join(words, " ")
	}
	now := time.Now()
	err := db.InOrganization(b.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
		for n := range apps {
			a := store.App{
				ID: id.New(), OrganizationID: org, Name: fmt.Sprintf("%s %s %d", vocabulary[random.IntN(len(vocabulary))], text(1), n), Description: text(12),
				Category: "Category " + vocabulary[n%40], Tags: []string{vocabulary[n%300], text(1) + fmt.Sprint(n%7)},
				Provisioning: "manual", DeprovisioningAction: "remove", AccountAdoption: "unspecified", CatalogState: "listed", CreateTime: now, UpdateTime: now, Version: 1,
			}
			account := store.Entitlement{
				ID: id.New(), OrganizationID: org, AppID: a.ID, Name: "account", Description: "An account in " + a.Name, Kind: "account", Risk: "unspecified", CreateTime: now, Version: 1,
			}
			if err := store.InsertApp(ctx, tx, a, account); err != nil {
				return err
			}
			uses := map[string]map[string]int32{"3": {}, "5": {}}
			var ids []uuid.UUID
			var names, descriptions, words, risks []string
			for e := range each - 1 {
				name, description := fmt.Sprintf("%s %d", text(2), e), "Gives access to "+text(8)
				risk := [...]string{"unspecified", "unspecified", "low", "medium", "high"}[random.IntN(5)]
				named, described := store.Words(name), store.Words(description)
				for _, w := range named {
					uses["3"][w]++
				}
				for _, w := range described {
					uses["5"][w]++
				}
				ids, names, descriptions, risks = append(ids, id.New()), append(names, name), append(descriptions, description), append(risks, risk)
				words = append(words, " "+strings.Join(named, " ")+" | "+strings.Join(described, " "))
			}
			if _, err := tx.Exec(ctx, `
insert into entitlement (id, organization_id, environment_id, app_id, name, description, kind, ref, create_time, version, risk, words)
select e.id, $2, '00000000-0000-0000-0000-000000000000', $1, e.name, e.description, 'role', '', now(), 1, e.risk, e.words
from unnest($3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[]) e (id, name, description, risk, words)`, a.ID, org, ids, names, descriptions, risks, words); err != nil {
				return err
			}
			for place, of := range uses {
				var list []string
				var counts []int32
				for w, n := range of {
					list, counts = append(list, w), append(counts, n)
				}
				if _, err := tx.Exec(ctx, `
insert into catalog_word (organization_id, environment_id, app_id, word, place, uses)
select $2, '00000000-0000-0000-0000-000000000000', $1, w.word, $3::text::smallint, w.uses from unnest($4::text[], $5::int[]) w (word, uses)
on conflict (organization_id, word, app_id, place) do update set uses = catalog_word.uses + excluded.uses`, a.ID, org, place, list, counts); err != nil {
					return err
				}
			}
			if n%250 == 0 {
				if _, err := tx.Exec(ctx, `
insert into grant_copy (id, organization_id, environment_id, user_id, app_id, entitlement_id, state, end_reason, version, removed, data)
values ($1, $2, '00000000-0000-0000-0000-000000000000', $3, $4, $5, 'active', 'unspecified', 1, false, '')`, id.New(), org, user, a.ID, ids[0]); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return org, user
}

// BenchmarkSearchCatalog reads a page of 20 apps of a large catalog as a member.
func BenchmarkSearchCatalog(b *testing.B) {
	url := pgtest.New(b, backend.Schema(migrations.FS, migrations.Included()...)...)
	db := pgtest.Connect(b, url)
	org, user := largeCatalog(b, db)
	analyze(b, url)
	for _, bm := range []struct{ name, query, filter string }{
		{"whole", "", ""},
		{"one letter", "b", ""},
		{"two letters", "ba", ""},
		{"everywhere", "access", ""},
		{"twice everywhere", "gives access", ""},
		{"frequent", "ba access to", ""},
		{"nothing", "zzzz", ""},
		{"held", "", "held = true"},
		{"not held", "b", "held = false"},
		{"category", "", `app.category = "Category x"`},
		{"tag", "b", `app.tags:"b"`},
		{"risk", "", "risks:ENTITLEMENT_RISK_HIGH"},
	} {
		b.Run(bm.name, func(b *testing.B) {
			for b.Loop() {
				page, err := store.CatalogList.Parse(filtertest.Request{Filter: bm.filter, Size: 20})
				if err != nil {
					b.Fatal(err)
				}
				err = db.InOrganizationRead(b.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
					_, _, err := store.SearchCatalog(ctx, tx, store.Search{
						OrganizationID: org, UserID: user, Reader: &store.Reader{UserID: user}, Words: store.Words(bm.query),
					}, page)
					return err
				})
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("facets", func(b *testing.B) {
		for b.Loop() {
			err := db.InOrganizationRead(b.Context(), org, func(ctx context.Context, tx *postgres.Tx) error {
				_, _, err := store.Facets(ctx, tx, store.Search{OrganizationID: org, UserID: user, Reader: &store.Reader{UserID: user}})
				return err
			})
			if err != nil {
				b.Fatal(err)
			}
		}
	})
}

// analyze has the server know how much there is of what.
func analyze(b *testing.B, url string) {
	b.Helper()
	conn, err := pgx.Connect(b.Context(), pgtest.Admin(b, url))
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(b.Context())
	if _, err := conn.Exec(b.Context(), "vacuum analyze"); err != nil {
		b.Fatal(err)
	}
}
