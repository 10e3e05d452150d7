package grpcapi

import (
	"context"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/enum"
	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/idempotency"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
	"gatehouse.dev/services/request/internal/command"
	"gatehouse.dev/services/request/internal/convert"
)

type conversationService struct {
	requestv1.UnimplementedConversationServiceServer
	commands *command.Commands
	answers  *idempotency.Answers
}

func (s conversationService) CreateConversation(ctx context.Context, in *requestv1.CreateConversationRequest) (*requestv1.CreateConversationResponse, error) {
	app, err := id.Parse("app_id", in.GetAppId())
	if err != nil {
		return nil, err
	}
	out, _, err := idempotency.Do(ctx, s.answers, in, func(ctx context.Context) (*requestv1.CreateConversationResponse, error) {
		c, err := s.commands.CreateConversation(ctx, authz.Must(ctx), app, in.GetText())
		if err != nil {
			return nil, err
		}
		return convert.CreatedConversation(c), nil
	})
	return out, err
}

func (s conversationService) GetConversation(ctx context.Context, in *requestv1.GetConversationRequest) (*requestv1.GetConversationResponse, error) {
	conversation, err := id.Parse("id", in.GetId())
	if err != nil {
		return nil, err
	}
	c, err := s.commands.GetConversation(ctx, authz.Must(ctx), conversation)
	if err != nil {
		return nil, err
	}
	return &requestv1.GetConversationResponse{Conversation: convert.Conversation(c)}, nil
}

func (s conversationService) ListConversations(ctx context.Context, in *requestv1.ListConversationsRequest) (*requestv1.ListConversationsResponse, error) {
	f := command.ConversationFilter{
		Mine:     in.GetView() == requestv1.ConversationView_CONVERSATION_VIEW_MINE,
		ToAnswer: in.GetView() == requestv1.ConversationView_CONVERSATION_VIEW_TO_ANSWER,
	}
	if in.GetState() != requestv1.ConversationState_CONVERSATION_STATE_UNSPECIFIED {
		f.State = enum.Word(in.GetState())
	}
	list, next, err := s.commands.ListConversations(ctx, authz.Must(ctx), f, in)
	if err != nil {
		return nil, err
	}
	return &requestv1.ListConversationsResponse{Conversations: each(list, convert.Conversation), NextPageToken: next}, nil
}

func (s conversationService) CloseConversation(ctx context.Context, in *requestv1.CloseConversationRequest) (*requestv1.CloseConversationResponse, error) {
	conversation, err := id.Parse("id", in.GetId())
	if err != nil {
		return nil, err
	}
	c, err := s.commands.CloseConversation(ctx, authz.Must(ctx), conversation)
	if err != nil {
		return nil, err
	}
	return &requestv1.CloseConversationResponse{Conversation: convert.Conversation(c)}, nil
}

func (s conversationService) AddMessage(ctx context.Context, in *requestv1.AddMessageRequest) (*requestv1.AddMessageResponse, error) {
	conversation, err := id.Parse("conversation_id", in.GetConversationId())
	if err != nil {
		return nil, err
	}
	out, _, err := idempotency.Do(ctx, s.answers, in, func(ctx context.Context) (*requestv1.AddMessageResponse, error) {
		m, err := s.commands.AddMessage(ctx, authz.Must(ctx), conversation, in.GetText())
		if err != nil {
			return nil, err
		}
		return convert.AddedMessage(m), nil
	})
	return out, err
}

func (s conversationService) ListMessages(ctx context.Context, in *requestv1.ListMessagesRequest) (*requestv1.ListMessagesResponse, error) {
	conversation, err := id.Parse("conversation_id", in.GetConversationId())
	if err != nil {
		return nil, err
	}
	list, next, err := s.commands.ListMessages(ctx, authz.Must(ctx), conversation, in)
	if err != nil {
		return nil, err
	}
	return &requestv1.ListMessagesResponse{Messages: each(list, convert.Message), NextPageToken: next}, nil
}
