package store

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/services/request/internal/lifecycle"
)

// Filter selects requests.
type Filter struct {
	// Mine keeps to those that the viewer made or that are for the viewer.
	Mine bool
	// Waits keeps to those on which something waits for the viewer.
	Waits bool
	// Closed keeps to closed ones if true, to open ones if false; nil to both.
	Closed *bool
	// BeneficiaryID, AppID and State are unset for any.
	BeneficiaryID, AppID uuid.UUID
	State                lifecycle.State
	// Words are those that each begin a word of a name; none for any.
	Words []string
}

// maxNameWords is how many words of a search count.
const maxNameWords = 5

// NameWords are those of a search: parted as the words of names are.
func NameWords(search string) []string {
	words := strings.FieldsFunc(search, func(r rune) bool { return strings.ContainsRune(" \t\r\n,.;:()/_@\"'-[]", r) })
	return words[:min(len(words), maxNameWords)]
}

// named are the people, apps and entitlements of whose names one word begins one: of many
// only the first are there.
type named struct {
	word                       string
	people, apps, entitlements []uuid.UUID
}

func (n named) size() int { return len(n.people) + len(n.apps) + len(n.entitlements) }

// Up to how many people, apps and entitlements the requests are looked up of each, and up
// to how many people by who does not see all, who sees few of theirs. Where more have such a
// name, requests are looked through until a page is full.
const (
	byName      = 200
	byNameOfOwn = 50
)

// fewOwn is how many requests somebody who does not see all looks through rather than those
// of people of a name.
const fewOwn = 2000

// beginsName is the condition under which a word is one of name_word w that it begins.
const beginsName = `w.organization_id = $2 and w.word >= lower(normalize(%[1]s, NFKC)) and w.word < lower(normalize(%[1]s, NFKC)) || U&'\+10FFFF'`

const selectNamed = `
select kind, id from name_word
where organization_id = $1 and word >= lower(normalize($2, NFKC)) and word < lower(normalize($2, NFKC)) || U&'\+10FFFF'
limit $3`

// The best way to find requests depends on who looks, and for what: a plan for any of them
// would read all that somebody has ever seen.
const planEach = `select set_config('plan_cache_mode', 'force_custom_plan', true)`

func eachPlanned(tx *postgres.Tx) {
	var b pgx.Batch
	b.Queue(planEach)
	tx.Later(&b)
}

// lookUpNames finds what is called by each of the words.
func lookUpNames(ctx context.Context, tx *postgres.Tx, organization uuid.UUID, words []string) ([]named, error) {
	if len(words) == 0 {
		return nil, nil
	}
	found := make([]named, len(words))
	var b pgx.Batch
	for n, word := range words {
		found[n].word = word
		b.Queue(selectNamed, organization, word, byName+1).Query(func(rows pgx.Rows) error {
			var kind string
			var id uuid.UUID
			_, err := pgx.ForEachRow(rows, []any{&kind, &id}, func() error {
				switch kind {
				case "user_copy":
					found[n].people = append(found[n].people, id)
				case "app":
					found[n].apps = append(found[n].apps, id)
				default:
					found[n].entitlements = append(found[n].entitlements, id)
				}
				return nil
			})
			return err
		})
	}
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return nil, fmt.Errorf("look for names: %w", err)
	}
	return found, nil
}

// List reads a page of [RequestList]: of the requests that the viewer may see, those
// that f selects. It gives the token of the next page.
func List(ctx context.Context, tx *postgres.Tx, v Viewer, f Filter, page *filter.Query) ([]*Request, string, error) {
	s, err := newSelection(ctx, tx, v, f, page)
	if err != nil {
		return nil, "", err
	}
	sql, args := s.list()
	return filter.Read(ctx, tx, page, sql, args, scanSeen)
}

func (s *selection) list() (string, []any) {
	ids := s.ids(s.page.Limit(s.args.Add))
	return `select ` + s.v.columns() + `, ` + s.page.Keys() + ` from (` + ids + `) p join access_request r on r.id = p.id
where $1::uuid is not null and $2::uuid is not null and $3::boolean is not null` + s.page.Order(), s.args
}

// Count counts what List lists, exactly up to a limit; more says that there is more.
func Count(ctx context.Context, tx *postgres.Tx, v Viewer, f Filter, page *filter.Query, limit int) (count int, more bool, err error) {
	s, err := newSelection(ctx, tx, v, f, page)
	if err != nil {
		return 0, false, err
	}
	page.Bound(tx)
	sql, args := s.count(limit)
	if err := tx.QueryRow(ctx, sql, args...).Scan(&count); err != nil {
		return 0, false, page.Error(fmt.Errorf("count requests: %w", err))
	}
	return min(count, limit), count > limit, nil
}

func (s *selection) count(limit int) (string, []any) {
	ids := s.ids(" limit " + s.args.Add(limit+1))
	return `select count(*) from (` + ids + `) p
where $1::uuid is not null and $2::uuid is not null and $3::boolean is not null`, s.args
}

// selection makes the statement of which requests are listed. A viewer who does not see
// all is led by what is theirs: each way by which they see requests is a source that is
// read in the order of the list, and as far as a page goes.
type selection struct {
	v     Viewer
	f     Filter
	names []named
	// few says that the viewer sees few requests.
	few  bool
	page *filter.Query
	args filter.Arguments
}

// newSelection looks up what decides how requests are found. The statements of tx are
// planned for their values from here on.
func newSelection(ctx context.Context, tx *postgres.Tx, v Viewer, f Filter, page *filter.Query) (*selection, error) {
	eachPlanned(tx)
	s := &selection{v: v, f: f, page: page, args: filter.Arguments{v.UserID, v.OrganizationID, v.All}}
	var err error
	if s.names, err = lookUpNames(ctx, tx, v.OrganizationID, f.Words); err != nil {
		return nil, err
	}
	if s.led() == nil || v.All || f.Mine || f.Waits {
		return s, nil
	}
	all, err := RequestList.Page(0, "")
	if err != nil {
		return nil, err
	}
	own := &selection{v: v, f: Filter{Closed: f.Closed}, page: all, args: filter.Arguments{v.UserID, v.OrganizationID, v.All}}
	sql, args := own.count(fewOwn)
	var n int
	if err := tx.QueryRow(ctx, sql, args...).Scan(&n); err != nil {
		return nil, fmt.Errorf("count what somebody sees: %w", err)
	}
	s.few = n <= fewOwn
	return s, nil
}

// source is a way to find requests: from and where name r; key is a column that has the
// same values as r.id, and repeats says that it may have one more than once. each is a
// from clause for every row of which the source is read.
type source struct {
	each, from, where, key string
	repeats                bool
}

// ids is the statement that gives the ids of the requests, each once, in order.
func (s *selection) ids(limit string) string {
	sources := s.sources()
	parts := make([]string, len(sources))
	for n, src := range sources {
		parts[n] = s.sql(src, limit)
	}
	if len(parts) == 1 && sources[0].each == "" {
		return parts[0]
	}
	_, order := s.page.By("u.id", func(any) string { return "" })
	return `select u.id from (
	` + strings.Join(parts, `
	union all
	`) + `) u group by u.id` + order + limit
}

func (s *selection) sql(src source, limit string) string {
	behind, order := s.page.By(src.key, s.args.Add)
	distinct := ""
	if src.repeats {
		distinct = "distinct "
	}
	q := `select ` + distinct + src.key + ` as id from ` + src.from + ` where ` + src.where + s.conditions() + behind + order + limit
	if src.each != "" {
		return `(select k.id from ` + src.each + ` cross join lateral (` + q + `) k)`
	}
	return `(` + q + `)`
}

// runs is the condition under which the viewer $1 has a place in an app a.
const runs = `a.organization_id = $2 and ($1 = any (a.admin_ids) or $1 = any (a.approver_ids) or $1 = a.owner_id)`

func (s *selection) sources() []source {
	requester := source{from: `access_request r`, where: `r.requester_id = $1`, key: `r.id`}
	beneficiary := source{from: `access_request r`, where: `r.beneficiary_id = $1`, key: `r.id`}
	open := s.f.Closed != nil && !*s.f.Closed
	whileOpen := func(condition string) string {
		if open {
			return ` and not ` + condition
		}
		return ``
	}
	items := func(each, condition string) source {
		return source{
			each: each, from: `request_item i join access_request r on r.id = i.request_id`,
			where: condition + whileOpen(`i.closed`), key: `i.request_id`, repeats: true,
		}
	}
	decided := func(each, condition string) source {
		return source{
			each: each, from: `reviewer v join access_request r on r.id = v.request_id`,
			where: `v.user_id = $1 and (select true from request_item i where i.request_id = v.request_id and i.app_id = v.app_id limit 1) is true` + condition + whileOpen(`v.closed`),
			key:   `v.request_id`, repeats: true,
		}
	}
	switch led := s.led(); {
	case s.f.Mine:
		return []source{requester, beneficiary}
	case s.f.Waits:
		waiting := func(each, condition string) source {
			return source{
				each: each, from: `action x join access_request r on r.id = x.request_id`,
				where: `x.state = 'open' and ` + condition, key: `x.request_id`, repeats: true,
			}
		}
		mine := waiting("", `x.actor_id = $1`)
		if s.v.Works {
			return []source{mine, waiting("", `x.organization_id = $2 and x.actor_id is null`)}
		}
		return []source{mine, waiting(`(select a.id from app a where a.organization_id = $2 and $1 = any (a.admin_ids)) a`, `x.app_id = a.id and x.actor_id is null`)}
	case led != nil:
		var out []source
		if len(led.people) > 0 {
			each := `unnest(` + s.args.Add(led.people) + `::uuid[]) n (id)`
			out = append(
				out, source{each: each, from: `access_request r`, where: `r.requester_id = n.id` + s.visible(), key: `r.id`},
				source{each: each, from: `access_request r`, where: `r.beneficiary_id = n.id` + s.visible(), key: `r.id`},
			)
		}
		if !s.v.All && len(led.apps)+len(led.entitlements) > 0 {
			// Of an app, what they have asked for themselves, have decided, or have a place for.
			apps := `(select unnest(` + s.args.Add(notNull(led.apps)) + `::uuid[]) union select e.app_id from entitlement e where e.id = any (` + s.args.Add(notNull(led.entitlements)) + `::uuid[])) n (id)`
			return append(
				out, requester, beneficiary,
				decided(apps, ` and v.app_id = n.id`),
				items(`(select a.id from app a join `+apps+` on n.id = a.id where `+runs+`) a`, `i.app_id = a.id`),
			)
		}
		if len(led.apps) > 0 {
			out = append(out, items(`unnest(`+s.args.Add(led.apps)+`::uuid[]) n (id)`, `i.app_id = n.id`))
		}
		if len(led.entitlements) > 0 {
			out = append(out, items(`unnest(`+s.args.Add(led.entitlements)+`::uuid[]) n (id)`, `i.entitlement_id = n.id`))
		}
		return out
	case s.v.All && s.f.AppID != uuid.Nil:
		return []source{items("", `i.app_id = `+s.args.Add(s.f.AppID))}
	case s.v.All:
		return []source{{from: `access_request r`, where: `r.organization_id = $2`, key: `r.id`}}
	}
	inApp := func(column string) string {
		if s.f.AppID == uuid.Nil {
			return ``
		}
		return ` and ` + column + ` = ` + s.args.Add(s.f.AppID)
	}
	return []source{
		requester, beneficiary,
		decided("", inApp(`v.app_id`)),
		items(`(select a.id from app a where `+runs+inApp(`a.id`)+`) a`, `i.app_id = a.id`),
	}
}

// led is what of the names leads to the requests: those of the word that the fewest have.
// Nil if there are no words, or too many are called so, or the viewer sees few requests.
func (s *selection) led() *named {
	var fewest *named
	for n := range s.names {
		if fewest == nil || s.names[n].size() < fewest.size() {
			fewest = &s.names[n]
		}
	}
	switch {
	case fewest == nil || fewest.size() == 0 || fewest.size() > byName:
		return nil
	case !s.v.All && (s.few || len(fewest.people) > byNameOfOwn):
		return nil
	}
	return fewest
}

// called is the condition that a word begins one of the names of a request r.
func (s *selection) called(word string) string {
	is := fmt.Sprintf(beginsName, s.args.Add(word)+"::text")
	return ` and ((select true from name_word w where w.id in (r.requester_id, r.beneficiary_id) and ` + is + ` limit 1) is true
		or (select true from request_item i join name_word w on w.id in (i.app_id, i.entitlement_id) where i.request_id = r.id and ` + is + ` and ` + seenOf + ` limit 1) is true)`
}

func (s *selection) visible() string {
	if s.v.All {
		return ""
	}
	return ` and ` + visible
}

// conditions are those that hold for a request r wherever it was found.
func (s *selection) conditions() string {
	f, q := s.f, ``
	switch {
	case f.Closed == nil:
	case *f.Closed:
		q += ` and r.close_time is not null`
	default:
		q += ` and r.close_time is null`
	}
	if f.BeneficiaryID != uuid.Nil {
		q += ` and r.beneficiary_id = ` + s.args.Add(f.BeneficiaryID)
	}
	if f.AppID != uuid.Nil { // an item that is not seen is not found by its app
		q += ` and (select true from request_item i where i.request_id = r.id and i.app_id = ` + s.args.Add(f.AppID) + ` and ` + seenOf + ` limit 1) is true`
	}
	if f.State != "" {
		q += ` and r.state = ` + s.args.Add(string(f.State))
	}
	for _, n := range s.names {
		if n.size() > byName {
			q += s.called(n.word)
			continue
		}
		people := s.args.Add(notNull(n.people))
		q += ` and (r.requester_id = any (` + people + `::uuid[]) or r.beneficiary_id = any (` + people + `::uuid[])`
		if len(n.apps)+len(n.entitlements) > 0 {
			q += ` or (select true from request_item i where i.request_id = r.id and (i.app_id = any (` + s.args.Add(notNull(n.apps)) +
				`::uuid[]) or i.entitlement_id = any (` + s.args.Add(notNull(n.entitlements)) + `::uuid[])) and ` + seenOf + ` limit 1) is true`
		}
		q += `)`
	}
	return q + s.page.Filter(s.args.Add)
}
