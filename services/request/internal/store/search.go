package store

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/postgres"
)

// Search says what somebody looks for in the catalog.
type Search struct {
	OrganizationID, EnvironmentID, UserID uuid.UUID
	Reader                                *Reader
	// Words are the words of the query, as [Words] gives them.
	Words []string
}

// Found is an app that was found, with what it gives that has words of the query, and what
// the caller has of it.
type Found struct {
	App
	Matches         []Entitlement
	Held, Requested []FoundItem
	Requestable     bool
	Risks           []string
}

// FoundItem is something that the caller holds or has requested. RequestID is that of the
// request by which it is so.
type FoundItem struct {
	EntitlementID uuid.UUID
	Name          string
	RequestID     uuid.NullUUID
	Until         *time.Time
}

const (
	// maxWords is how many words of a query count.
	maxWords = 8
	// maxMatches is how many of what an app gives are shown, of the first maxLooked that have
	// a word of the query.
	maxMatches = 5
	maxLooked  = 200
	// maxFacets is how many categories and tags are named.
	maxFacets = 200
)

// The parameters of what searches: $1 the environment, $2 the organization, $3 to $7 the
// reader, $8 the caller.
const (
	heldApps      = `(select g.app_id from grant_copy g where g.user_id = $8 and not g.removed and g.state <> 'revoking')`
	requestedApps = `(select i.app_id from request_item i where i.beneficiary_id = $8 and i.kind = 'grant' and i.open)`
)

var (
	risksOf = `array(select distinct e.risk::text from entitlement e where e.app_id = a.id and e.delete_time is null and e.risk <> 'unspecified'
		and ` + seenBy(readerSeesEntitlement, 3) + ` order by 1)`
	searchable   = ` where a.organization_id = $2 and a.delete_time is null and $8::uuid is not null and ` + offered + ` and ` + seenBy(readerSeesApp, 3)
	selectFacets = `
select array(select distinct a.category from app a` + searchable + ` and a.category <> '' order by 1 limit ` + strconv.Itoa(maxFacets) + `),
	array(select distinct lower(tag) from app a, unnest(a.tags) tag` + searchable + ` order by 1 limit ` + strconv.Itoa(maxFacets) + `)`
	// Of each app $9 those of what it gives that have one of the words that go with it in
	// $10, the one that has the most of them in its name first.
	selectMatches = `
select ` + columnsOfEntitlement("m") + `
from (select p.app_id, array_agg(' ' || p.word) as words from unnest($9::uuid[], $10::text[]) p (app_id, word) group by p.app_id) p
cross join lateral (
	select c.*, (select count(*) from unnest(p.words) w where strpos(split_part(c.words, '|', 1), w) > 0) as named,
		(select count(*) from unnest(p.words) w where strpos(c.words, w) > 0) as had
	from (select e.* from entitlement e where e.app_id = p.app_id and e.delete_time is null and $1::uuid is not null and $2::uuid is not null and $8::uuid is not null
			and exists (select from unnest(p.words) w where strpos(e.words, w) > 0) and ` + seenBy(readerSeesEntitlement, 3) + `
		limit ` + strconv.Itoa(maxLooked) + `) c
	order by had desc, named desc, lower(c.name), c.id limit ` + strconv.Itoa(maxMatches) + `) m
order by m.app_id, m.had desc, m.named desc, lower(m.name), m.id`
	selectFoundFacts = `
select a.id, ` + risksOf + `,
	a.catalog_state <> 'unlisted' and exists (select from entitlement e where e.app_id = a.id and e.delete_time is null
		and (btrim(e.description) <> '' or e.kind = 'account' and btrim(a.description) <> '') and ` + seenBy(readerSeesEntitlement, 3) + `
		and not exists (select from grant_copy g where g.user_id = $8 and g.entitlement_id = e.id and not g.removed and g.state <> 'revoking')
		and not exists (select from request_item i where i.beneficiary_id = $8 and i.entitlement_id = e.id and i.kind = 'grant' and i.open))
from app a where a.id = any ($9) and $1::uuid is not null and $2::uuid is not null`
	// What a guest sees is little, and its words are not those of the whole catalog.
	selectOwnCatalog = `
select a.id, a.name, a.category, a.tags, a.description, array(select e.words from entitlement e where e.app_id = a.id and e.delete_time is null and ` +
		seenBy(readerSeesEntitlement, 3) + `)
from app a` + searchable
)

// selectHits are the apps that have words of a range, each with the best place of one.
const selectHits = `select w.app_id, min(w.place) as place from catalog_word w where w.organization_id = $2 and w.word >= %s and w.word < %s group by w.app_id`

const (
	selectHeldByApp = `
select g.app_id, g.entitlement_id, e.name, g.request_id, g.until from grant_copy g join entitlement e on e.id = g.entitlement_id
where g.user_id = $1 and g.app_id = any ($2) and not g.removed and g.state <> 'revoking' order by lower(e.name), g.until desc nulls first`
	selectRequestedByApp = `
select i.app_id, i.entitlement_id, i.entitlement_name, i.request_id from request_item i
where i.beneficiary_id = $1 and i.app_id = any ($2) and i.kind = 'grant' and i.open order by lower(i.entitlement_name), i.id`
)

func (s *Search) arguments() []any {
	return append(append([]any{s.EnvironmentID, s.OrganizationID}, s.Reader.arguments()...), s.UserID)
}

// limited says that the caller sees a part of what is listed.
func (s *Search) limited() bool { return s.Reader != nil && s.Reader.Guest && !s.Reader.Any }

// SearchCatalog reads a page of [CatalogList], and gives the token of the next page.
func SearchCatalog(ctx context.Context, tx *postgres.Tx, s Search, page *filter.Query) ([]*Found, string, error) {
	if len(s.Words) > maxWords {
		s.Words = s.Words[:maxWords]
	}
	args := filter.Arguments(s.arguments())
	found := `(select 0 as rank) f cross join app a`
	switch {
	case len(s.Words) == 0:
	case s.limited():
		ids, ranks, err := s.findOwn(ctx, tx)
		if err != nil {
			return nil, "", err
		}
		found = fmt.Sprintf(`unnest(%s::uuid[], %s::int[]) f (app_id, rank) join app a on a.id = f.app_id`, args.Add(ids), args.Add(ranks))
	default:
		hits := make([]string, len(s.Words))
		for n, word := range s.Words {
			hits[n] = fmt.Sprintf(selectHits, args.Add(word), args.Add(word+afterAll))
		}
		found = fmt.Sprintf(`(select h.app_id, max(h.place)::int as rank from (%s) h group by h.app_id having count(*) = %d) f join app a on a.id = f.app_id`,
			strings.Join(hits, " union all "), len(s.Words))
	}
	sql := `select ` + shownColumns + `, ` + page.Keys() + ` from ` + found + searchable + page.Where(args.Add) + page.Order() + page.Limit(args.Add)
	apps, next, err := filter.Read(ctx, tx, page, sql, args, scanApp)
	if err != nil || len(apps) == 0 {
		return nil, "", err
	}
	list := make([]*Found, len(apps))
	for n, a := range apps {
		list[n] = &Found{App: a}
	}
	return list, next, s.fill(ctx, tx, list)
}

// findOwn finds the apps of a caller who sees few, with their ranks.
func (s *Search) findOwn(ctx context.Context, tx *postgres.Tx) (ids []uuid.UUID, ranks []int32, err error) {
	rows, err := tx.Query(ctx, selectOwnCatalog, s.arguments()...)
	if err != nil {
		return nil, nil, fmt.Errorf("read what a guest sees: %w", err)
	}
	var a App
	var entitlements []string
	_, err = pgx.ForEachRow(rows, []any{&a.ID, &a.Name, &a.Category, &a.Tags, &a.Description, &entitlements}, func() error {
		places := map[int32][]string{placeName: Words(a.Name), placeFacts: Words(append([]string{a.Category}, a.Tags...)...), placeDescription: Words(a.Description)}
		for _, e := range entitlements {
			named, described, _ := strings.Cut(e, "|")
			places[placeEntitlement] = append(places[placeEntitlement], strings.Fields(named)...)
			places[placeEntitlementDescription] = append(places[placeEntitlementDescription], strings.Fields(described)...)
		}
		var rank int32
		for _, word := range s.Words {
			place := int32(placeName)
			for place <= placeEntitlementDescription && !begins(word, places[place]) {
				place++
			}
			rank = max(rank, place)
		}
		if rank <= placeEntitlementDescription {
			ids, ranks = append(ids, a.ID), append(ranks, rank)
		}
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read what a guest sees: %w", err)
	}
	return notNull(ids), notNull(ranks), nil
}

// begins reports whether a word begins one of others.
func begins(word string, others []string) bool {
	for _, o := range others {
		if strings.HasPrefix(o, word) {
			return true
		}
	}
	return false
}

// fill reads what is shown of apps besides.
func (s *Search) fill(ctx context.Context, tx *postgres.Tx, list []*Found) error {
	byID := make(map[uuid.UUID]*Found, len(list))
	ids := make([]uuid.UUID, len(list))
	var of []uuid.UUID
	var words []string
	for n, f := range list {
		ids[n], byID[f.ID] = f.ID, f
		own := Words(append([]string{f.Name, f.Category}, f.Tags...)...)
		for _, w := range s.Words {
			if !begins(w, own) {
				of, words = append(of, f.ID), append(words, w)
			}
		}
	}
	var b pgx.Batch
	if len(of) > 0 {
		b.Queue(selectMatches, append(s.arguments(), of, words)...).Query(func(rows pgx.Rows) error {
			matches, err := pgx.CollectRows(rows, scanEntitlement)
			for _, e := range matches {
				byID[e.AppID].Matches = append(byID[e.AppID].Matches, e)
			}
			return err
		})
	}
	b.Queue(selectFoundFacts, append(s.arguments(), ids)...).Query(func(rows pgx.Rows) error {
		var id uuid.UUID
		var risks []string
		var requestable bool
		_, err := pgx.ForEachRow(rows, []any{&id, &risks, &requestable}, func() error {
			byID[id].Risks, byID[id].Requestable = risks, requestable
			return nil
		})
		return err
	})
	var app uuid.UUID
	var item FoundItem
	b.Queue(selectHeldByApp, s.UserID, ids).Query(func(rows pgx.Rows) error {
		_, err := pgx.ForEachRow(rows, []any{&app, &item.EntitlementID, &item.Name, &item.RequestID, &item.Until}, func() error {
			byID[app].Held = append(byID[app].Held, item)
			return nil
		})
		return err
	})
	b.Queue(selectRequestedByApp, s.UserID, ids).Query(func(rows pgx.Rows) error {
		item = FoundItem{}
		_, err := pgx.ForEachRow(rows, []any{&app, &item.EntitlementID, &item.Name, &item.RequestID}, func() error {
			byID[app].Requested = append(byID[app].Requested, item)
			return nil
		})
		return err
	})
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("read what is shown of found apps: %w", err)
	}
	return nil
}

// Facets are the categories and tags of the apps that the caller sees.
func Facets(ctx context.Context, tx *postgres.Tx, s Search) (categories, tags []string, err error) {
	if err := tx.QueryRow(ctx, selectFacets, s.arguments()...).Scan(&categories, &tags); err != nil {
		return nil, nil, fmt.Errorf("read categories and tags: %w", err)
	}
	return categories, tags, nil
}
