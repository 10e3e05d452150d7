package inbox_test

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/filter/filtertest"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/inbox"
	"gatehouse.dev/libs/pgtest"
	opsv1 "gatehouse.dev/proto/gen/gatehouse/ops/v1"
)

func TestListSaysWhatItIsFilteredBy(t *testing.T) {
	t.Parallel()
	filtertest.Comments(t, "../../proto", inbox.ParkedList)
}

// Lists of several services are merged in the order of bytes, which is not how people
// sort: the database goes by the same, whatever its own order is.
func TestParkedEventsAreSortedByBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	conn, err := pgx.Connect(t.Context(), pgtest.Admin(t, w.url))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context()) //nolint:errcheck // the database goes as well
	if _, err := conn.Exec(t.Context(), `alter table parked_event alter column type type text collate "und-x-icu"`); err != nil {
		t.Fatal(err)
	}
	want := []string{"Group.created", "group.created", "user.joined", "user_identity.linked"}
	for i, kind := range want {
		if _, err := conn.Exec(t.Context(), `
insert into parked_event (event_id, organization_id, type, subject, aggregate_id, event_time, headers, data, stream_created, stream_sequence, error, attempts, parked_at)
values ($1, $2, $3, '', '', now(), '{}', '', now(), $4, '', 1, now())`, id.New(), w.org, kind, i); err != nil {
			t.Fatal(err)
		}
	}
	w.on(nil)
	server := inbox.NewParkedServer(w.consumer())
	ctx := authz.WithCaller(t.Context(), authz.Caller{OrganizationID: w.org})
	var got []string
	for req := (&opsv1.ListParkedEventsRequest{PageSize: 2, OrderBy: "type"}); ; {
		resp, err := server.ListParkedEvents(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range resp.GetParkedEvents() {
			got = append(got, p.GetType())
		}
		if req.PageToken = resp.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("sorted %q, want %q", got, want)
	}
}
