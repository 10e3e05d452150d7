package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/postgres"
)

// ErrConversationNotFound says that there is no such conversation for a viewer.
var ErrConversationNotFound = errors.New("there is no such conversation")

// The states of a conversation.
const (
	ConversationWaiting  = "waiting"
	ConversationAnswered = "answered"
	ConversationClosed   = "closed"
)

// Conversation is a question to those who run an app.
type Conversation struct {
	ID, OrganizationID, EnvironmentID, AppID uuid.UUID
	AppName                                  string
	Asker                                    Person
	State, Opening                           string
	MessageCount                             int32
	CreateTime, UpdateTime                   time.Time
	Version                                  int64
	ClosingReason                            string
	// RunsApp says that the viewer is the app's owner or one of its admins.
	RunsApp bool
}

// Message is what was said in one.
type Message struct {
	ID, ConversationID uuid.UUID
	Author             Person
	Text               string
	CreateTime         time.Time
}

// ConversationFilter selects conversations.
type ConversationFilter struct {
	// Mine keeps to those that the viewer began, ToAnswer to those of others that the
	// viewer is to answer: those about apps that they run, unless they only look, and of
	// who administers those about apps that nobody runs who could.
	Mine, ToAnswer, OnlyLooks, Administers bool
	State                                  string // empty for any
}

const (
	conversationFields  = `v.id, v.organization_id, v.environment_id, v.app_id, v.asker_id, v.asker_name, v.asker_email, v.state, v.opening, v.message_count, v.create_time, v.update_time, v.version, v.closing_reason`
	runsApp             = `(a.owner_id is not null and a.owner_id = $1 or $1 = any (a.admin_ids))`
	conversationColumns = conversationFields + `, a.name, ` + runsApp
	// Of $2 what viewer $1 sees, all of it if $3.
	fromConversations = ` from conversation v join app a on a.id = v.app_id
where v.organization_id = $2 and ($3 or v.asker_id = $1 or ` + runsApp + `)`
	// Somebody who runs the app, is there, and may answer who asked.
	hasPeople = `exists (select from user_copy u where (u.id = a.owner_id or u.id = any (a.admin_ids)) and u.id <> v.asker_id
	and u.state = 'active' and not u.removed and u.role <> 'risk_manager'
	and u.role_environment_id in ('00000000-0000-0000-0000-000000000000', v.environment_id))`

	selectConversation = `select ` + conversationColumns + fromConversations + ` and v.id = $4`
	lockConversation   = selectConversation + ` for update of v`
	insertConversation = `
insert into conversation (id, organization_id, environment_id, app_id, asker_id, asker_name, asker_email, state, opening, message_count, create_time, update_time, version, closing_reason)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`
	updateConversation = `
update conversation set state = $2, message_count = $3, update_time = $4, version = $5, closing_reason = $6 where id = $1`
	insertMessage = `
insert into conversation_message (id, organization_id, conversation_id, author_id, author_name, author_email, body, create_time)
values ($1, $2, $3, $4, $5, $6, $7, $8)`
	// Those that begin or open conversations of one person take turns, so that none gets
	// past the limit: each counts when the one before has ended.
	lockOpenConversations  = `select pg_advisory_xact_lock(hashtextextended('conversations ' || $1::uuid, 7163509))`
	countOpenConversations = `
select count(*) from conversation where asker_id = $1 and state <> 'closed'`
	selectAsker    = `select 1 from user_copy where id = $1 and not removed`
	messageColumns = `m.id, m.conversation_id, m.author_id, m.author_name, m.author_email, m.body, m.create_time`
	fromMessages   = ` from conversation_message m where m.conversation_id = $1`
	// Whoever closes several locks them in one order.
	closeConversations = `
with open as (
	select v.id from conversation v where v.state <> 'closed' and (v.app_id = $2 or v.asker_id = $3) order by v.id for update)
update conversation v set state = 'closed', update_time = greatest(v.update_time, $4), version = v.version + 1, closing_reason = $5
from open, app a where v.id = open.id and a.id = v.app_id
returning ` + conversationColumns
)

func scanConversation(row pgx.CollectableRow) (c Conversation, err error) {
	err = row.Scan(&c.ID, &c.OrganizationID, &c.EnvironmentID, &c.AppID, &c.Asker.ID, &c.Asker.Name, &c.Asker.Email, &c.State, &c.Opening, &c.MessageCount,
		&c.CreateTime, &c.UpdateTime, &c.Version, &c.ClosingReason, &c.AppName, &c.RunsApp)
	return c, err
}

// VisibleConversation reads a conversation that the viewer sees; with lock, others do not
// change it until the end of tx.
func VisibleConversation(ctx context.Context, tx *postgres.Tx, v Viewer, id uuid.UUID, lock bool) (c Conversation, err error) {
	q := selectConversation
	if lock {
		q = lockConversation
	}
	rows, err := tx.Query(ctx, q, v.UserID, v.OrganizationID, v.All, id)
	if err == nil {
		c, err = pgx.CollectExactlyOneRow(rows, scanConversation)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		return c, ErrConversationNotFound
	}
	if err != nil {
		return c, fmt.Errorf("read conversation: %w", err)
	}
	return c, nil
}

// Conversations reads a page of [ConversationList], of the conversations that the viewer
// sees and f selects, and gives the token of the next page.
func Conversations(ctx context.Context, tx *postgres.Tx, v Viewer, f ConversationFilter, page *filter.Query) ([]Conversation, string, error) {
	from, args := fromConversations, []any{v.UserID, v.OrganizationID, v.All}
	if f.Mine {
		from += ` and v.asker_id = $1`
	}
	if f.ToAnswer {
		args = append(args, f.OnlyLooks, f.Administers)
		from += fmt.Sprintf(` and v.asker_id <> $1 and (not $%d and `+runsApp+` or $%d and not `+hasPeople+`)`, len(args)-1, len(args))
	}
	if f.State != "" {
		args = append(args, f.State)
		from += fmt.Sprintf(` and v.state = $%d`, len(args))
	}
	return list(ctx, tx, conversationColumns, from, page, scanConversation, args...)
}

// Messages reads a page of [MessageList], of a conversation, and gives the token of the
// next page.
func Messages(ctx context.Context, tx *postgres.Tx, conversation uuid.UUID, page *filter.Query) ([]Message, string, error) {
	return list(ctx, tx, messageColumns, fromMessages, page, func(row pgx.CollectableRow) (m Message, err error) {
		err = row.Scan(&m.ID, &m.ConversationID, &m.Author.ID, &m.Author.Name, &m.Author.Email, &m.Text, &m.CreateTime)
		return m, err
	}, conversation)
}

// OpenConversations counts the conversations of a user that are not closed. Until tx ends
// nobody else counts them.
func OpenConversations(ctx context.Context, tx *postgres.Tx, user uuid.UUID) (n int, err error) {
	if _, err := tx.Exec(ctx, lockOpenConversations, user); err != nil {
		return 0, fmt.Errorf("wait to count conversations: %w", err)
	}
	if err := tx.QueryRow(ctx, countOpenConversations, user).Scan(&n); err != nil {
		return 0, fmt.Errorf("count conversations: %w", err)
	}
	return n, nil
}

// AskerIsThere says whether who asked has not left.
func AskerIsThere(ctx context.Context, tx *postgres.Tx, user uuid.UUID) (bool, error) {
	tag, err := tx.Exec(ctx, selectAsker, user)
	if err != nil {
		return false, fmt.Errorf("look up who asked: %w", err)
	}
	return tag.RowsAffected() > 0, nil
}

// SaveConversation saves a conversation, which is new if its version is 1, with a message
// that was added to it, if one was.
func SaveConversation(ctx context.Context, tx *postgres.Tx, c Conversation, m *Message) error {
	b := &pgx.Batch{}
	if c.Version == 1 {
		b.Queue(insertConversation, c.ID, c.OrganizationID, c.EnvironmentID, c.AppID, c.Asker.ID, c.Asker.Name, c.Asker.Email, c.State, c.Opening, c.MessageCount,
			c.CreateTime, c.UpdateTime, c.Version, c.ClosingReason)
	} else {
		b.Queue(updateConversation, c.ID, c.State, c.MessageCount, c.UpdateTime, c.Version, c.ClosingReason)
	}
	if m != nil {
		b.Queue(insertMessage, m.ID, c.OrganizationID, c.ID, m.Author.ID, m.Author.Name, m.Author.Email, m.Text, m.CreateTime)
	}
	if err := tx.SendBatch(ctx, b).Close(); err != nil {
		return fmt.Errorf("save conversation: %w", err)
	}
	return nil
}

// CloseConversations closes those about an app, or those of somebody who asked, that are
// not closed, and gives them. The other id is the nil id.
func CloseConversations(ctx context.Context, tx *postgres.Tx, app, asker uuid.UUID, reason string, at time.Time) ([]Conversation, error) {
	rows, err := tx.Query(ctx, closeConversations, uuid.Nil, app, asker, at, reason)
	if err != nil {
		return nil, fmt.Errorf("close conversations: %w", err)
	}
	return collect("close conversations", rows, scanConversation)
}
