package command

import (
	"context"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"gatehouse.dev/libs/apierr"
	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/event"
	"gatehouse.dev/libs/filter"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/idempotency"
	"gatehouse.dev/libs/outbox"
	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/scope"
	authzv1 "gatehouse.dev/proto/gen/gatehouse/authz/v1"
	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	"gatehouse.dev/services/request/internal/convert"
	"gatehouse.dev/services/request/internal/store"
)

const (
	// maxOpenConversations is how many conversations of one person may be open.
	maxOpenConversations = 20
	// maxMessages is how many messages a conversation may have.
	maxMessages = 1000
	// maxOpening is how much of its first message a list shows, in characters.
	maxOpening = 200
)

// CreateConversation asks those who run an app that the caller sees.
func (c *Commands) CreateConversation(ctx context.Context, by authz.Caller, app uuid.UUID, text string) (v store.Conversation, err error) {
	if text, err = said(text); err != nil {
		return v, err
	}
	err = c.DB.In(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		reader, err := c.catalogReader(ctx, tx, by)
		if err != nil {
			return err
		}
		a, err := store.LoadApp(ctx, tx, by.EnvironmentID, reader, app)
		if err == nil {
			err = c.keepApp(ctx, tx, app)
		}
		if errors.Is(err, store.ErrAppNotFound) {
			return apierr.InvalidField("app_id", "APP_UNKNOWN", "there is no such app")
		}
		if err != nil {
			return err
		}
		if err := oneMore(ctx, tx, by.UserID); err != nil {
			return err
		}
		environment, _ := scope.Meet(by.EnvironmentID, a.EnvironmentID)
		now := c.Clock.Now()
		v = store.Conversation{
			ID: id.New(), OrganizationID: by.OrganizationID, EnvironmentID: environment, AppID: a.ID, AppName: a.Name, Asker: person(by),
			State: store.ConversationWaiting, Opening: opening(text), MessageCount: 1, CreateTime: now, UpdateTime: now, Version: 1,
		}
		m := store.Message{ID: id.New(), ConversationID: v.ID, Author: v.Asker, Text: text, CreateTime: now}
		if err := store.SaveConversation(ctx, tx, v, &m); err != nil {
			return err
		}
		if err := c.Events.Add(ctx, tx, convert.ConversationStarted(event.CallerActor(by), v, m)); err != nil {
			return err
		}
		return idempotency.Save(ctx, tx, convert.CreatedConversation(v))
	})
	return v, err
}

// keepApp has nobody delete an app meanwhile: whoever does locks it first, and closes what
// is asked about it. An environment keeps those of the organization, too: the transaction
// sees all of it from here on.
func (c *Commands) keepApp(ctx context.Context, tx *postgres.Tx, app uuid.UUID) error {
	if err := tx.Widen(ctx); err != nil {
		return err
	}
	return store.KeepApp(ctx, tx, app)
}

// oneMore refuses to open another conversation of who has as many as may be open.
func oneMore(ctx context.Context, tx *postgres.Tx, asker uuid.UUID) error {
	open, err := store.OpenConversations(ctx, tx, asker)
	if err == nil && open >= maxOpenConversations {
		err = apierr.Precondition("TOO_MANY_OPEN", "you have %d open conversations; please close one first", open)
	}
	return err
}

// said is what somebody says, without the space around it.
func said(text string) (string, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return "", apierr.InvalidField("text", "BLANK", "text must not be blank")
	}
	return text, nil
}

// opening is how a text begins.
func opening(text string) string {
	if utf8.RuneCountInString(text) <= maxOpening {
		return text
	}
	return string([]rune(text)[:maxOpening-1]) + "…"
}

// GetConversation gives a conversation that the caller sees.
func (c *Commands) GetConversation(ctx context.Context, by authz.Caller, conversation uuid.UUID) (v store.Conversation, err error) {
	err = c.DB.InRead(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		v, err = store.VisibleConversation(ctx, tx, viewer(by), conversation, false)
		return public(err)
	})
	return v, err
}

// ListConversations gives the conversations that the caller sees and f selects, and the
// token of the next page.
func (c *Commands) ListConversations(ctx context.Context, by authz.Caller, f store.ConversationFilter, asked filter.Request) (list []store.Conversation, next string, err error) {
	page, err := store.ConversationList.Parse(asked)
	if err != nil {
		return nil, "", err
	}
	f.Administers, f.OnlyLooks = by.Administers(), by.Role == authzv1.Caller_CALLER_RISK_MANAGER
	err = c.DB.InRead(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		list, next, err = store.Conversations(ctx, tx, viewer(by), f, page)
		return err
	})
	return list, next, err
}

// ListMessages gives what was said in a conversation that the caller sees, and the token
// of the next page.
func (c *Commands) ListMessages(ctx context.Context, by authz.Caller, conversation uuid.UUID, asked filter.Request) (list []store.Message, next string, err error) {
	page, err := store.MessageList.Parse(asked)
	if err != nil {
		return nil, "", err
	}
	err = c.DB.InRead(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) (err error) {
		if _, err = store.VisibleConversation(ctx, tx, viewer(by), conversation, false); err != nil {
			return public(err)
		}
		list, next, err = store.Messages(ctx, tx, conversation, page)
		return err
	})
	return list, next, err
}

// AddMessage adds what the caller says, and opens a closed conversation again.
func (c *Commands) AddMessage(ctx context.Context, by authz.Caller, conversation uuid.UUID, text string) (m store.Message, err error) {
	if text, err = said(text); err != nil {
		return m, err
	}
	err = c.DB.In(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		v, err := store.VisibleConversation(ctx, tx, viewer(by), conversation, false)
		if err != nil {
			return public(err)
		}
		kept := c.keepApp(ctx, tx, v.AppID)
		if kept != nil && !errors.Is(kept, store.ErrAppNotFound) {
			return kept
		}
		v, err = c.lockConversation(ctx, tx, by, conversation)
		switch {
		case err != nil:
			return err
		case kept != nil:
			return apierr.Precondition("APP_DELETED", "%s is there no more", v.AppName)
		case v.MessageCount >= maxMessages:
			return apierr.Precondition("MANY_MESSAGES", "this conversation has %d messages; please begin another", v.MessageCount)
		}
		if v.State == store.ConversationClosed {
			if err := reopen(ctx, tx, by, v); err != nil {
				return err
			}
		}
		v.State, v.ClosingReason = store.ConversationAnswered, ""
		if v.Asker.ID == by.UserID {
			v.State = store.ConversationWaiting
		}
		v.MessageCount++
		v.UpdateTime = notBefore(c.Clock.Now(), v.UpdateTime)
		v.Version++
		m = store.Message{ID: id.New(), ConversationID: v.ID, Author: person(by), Text: text, CreateTime: v.UpdateTime}
		if err := store.SaveConversation(ctx, tx, v, &m); err != nil {
			return err
		}
		if err := c.Events.Add(ctx, tx, convert.ConversationMessageAdded(event.CallerActor(by), v, m)); err != nil {
			return err
		}
		return idempotency.Save(ctx, tx, convert.AddedMessage(m))
	})
	return m, err
}

// reopen refuses to open a closed conversation again that nobody would read, or that would
// be one too many of who asked. Who answers is not kept from it by how many there are.
func reopen(ctx context.Context, tx *postgres.Tx, by authz.Caller, v store.Conversation) error {
	if v.Asker.ID == by.UserID {
		return oneMore(ctx, tx, by.UserID)
	}
	there, err := store.AskerIsThere(ctx, tx, v.Asker.ID)
	if err == nil && !there {
		err = apierr.Precondition("ASKER_LEFT", "%s has left, and would not read it", v.Asker.Name)
	}
	return err
}

// CloseConversation closes a conversation. Closing it again changes nothing.
func (c *Commands) CloseConversation(ctx context.Context, by authz.Caller, conversation uuid.UUID) (v store.Conversation, err error) {
	err = c.DB.In(ctx, by.Scope(), func(ctx context.Context, tx *postgres.Tx) error {
		if v, err = c.lockConversation(ctx, tx, by, conversation); err != nil || v.State == store.ConversationClosed {
			return err
		}
		v.State = store.ConversationClosed
		v.UpdateTime = notBefore(c.Clock.Now(), v.UpdateTime)
		v.Version++
		if err := store.SaveConversation(ctx, tx, v, nil); err != nil {
			return err
		}
		return c.Events.Add(ctx, tx, convert.ConversationClosed(event.CallerActor(by), v))
	})
	return v, err
}

// lockConversation reads a conversation that the caller sees and may take part in.
func (c *Commands) lockConversation(ctx context.Context, tx *postgres.Tx, by authz.Caller, conversation uuid.UUID) (store.Conversation, error) {
	v, err := store.VisibleConversation(ctx, tx, viewer(by), conversation, true)
	if err != nil {
		return v, public(err)
	}
	// Whoever sees all changes nothing for others, whatever else they are.
	runs := v.RunsApp && by.Role != authzv1.Caller_CALLER_RISK_MANAGER
	if v.Asker.ID != by.UserID && !runs && !by.Administers() {
		return v, apierr.Denied("NOT_YOUR_CONVERSATION", "only who asked, who runs the app and admins take part in it")
	}
	return v, nil
}

// closeConversations closes what is asked about an app, or by somebody, because nobody is
// there any more who could answer or would read it. tx sees the whole organization.
func (c *Commands) closeConversations(ctx context.Context, tx *postgres.Tx, by *eventv1.Actor, app, asker uuid.UUID, reason string, at time.Time) error {
	closed, err := store.CloseConversations(ctx, tx, app, asker, reason, at)
	if err != nil || len(closed) == 0 {
		return err
	}
	events := make([]outbox.Event, len(closed))
	for n, v := range closed {
		events[n] = convert.ConversationClosed(by, v)
	}
	return c.Events.Add(ctx, tx, events...)
}
