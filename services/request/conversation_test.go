package request_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"

	"gatehouse.dev/libs/id"
	"gatehouse.dev/libs/rpctest"
	"gatehouse.dev/libs/servicetest"

	eventv1 "gatehouse.dev/proto/gen/gatehouse/event/v1"
	identityv1 "gatehouse.dev/proto/gen/gatehouse/identity/v1"
	requestv1 "gatehouse.dev/proto/gen/gatehouse/request/v1"
)

func (w *world) conversations(t testing.TB, name string) requestv1.ConversationServiceClient {
	t.Helper()
	return requestv1.NewConversationServiceClient(w.Conn(t, w.caller(name)))
}

// asks begins a conversation about the crm.
func (w *world) asks(t testing.TB, name, text string) *requestv1.Conversation {
	t.Helper()
	out, err := w.conversations(t, name).CreateConversation(t.Context(), &requestv1.CreateConversationRequest{AppId: w.crm.GetId(), Text: text})
	if err != nil {
		t.Fatal(err)
	}
	return out.GetConversation()
}

// conversationsOf are those that somebody finds in a view.
func (w *world) conversationsOf(t testing.TB, name string, view requestv1.ConversationView) []string {
	t.Helper()
	out, err := w.conversations(t, name).ListConversations(t.Context(), &requestv1.ListConversationsRequest{View: view})
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, c := range out.GetConversations() {
		ids = append(ids, c.GetId())
	}
	return ids
}

const (
	allConversations = requestv1.ConversationView_CONVERSATION_VIEW_UNSPECIFIED
	myConversations  = requestv1.ConversationView_CONVERSATION_VIEW_MINE
	toAnswer         = requestv1.ConversationView_CONVERSATION_VIEW_TO_ANSWER
)

// B-CAT-02: a question reaches those who run the app, as a conversation, and no request
// is made. They answer, who asked goes on, either closes it, and whoever says more opens
// it again. Everything that is said is an event.
func TestConversation(t *testing.T) {
	t.Parallel()
	w := start(t)
	long := "  " + strings.Repeat("ä", 300) + "\n"
	c := w.asks(t, "ben", long)
	if c.GetState() != requestv1.ConversationState_CONVERSATION_STATE_WAITING || c.GetAppName() != "CRM" || c.GetAsker().GetUserId() != w.id("ben") ||
		c.GetMessageCount() != 1 || c.GetOpening() != strings.Repeat("ä", 199)+"…" || c.GetVersion() != 1 {
		t.Errorf("begun: %v", c)
	}
	started := servicetest.Wait(t, w.Harness, func(e *eventv1.ConversationStarted) bool { return e.GetConversation().GetId() == c.GetId() })
	if about := started.GetContext(); about.GetUserId() != w.id("ben") || about.GetAppId() != w.crm.GetId() || about.GetActor().GetId() != w.id("ben") ||
		started.GetMessage().GetText() != strings.TrimSpace(long) {
		t.Errorf("said %v", started)
	}
	if n := len(emitted[*eventv1.RequestSubmitted](t, w)); n != 0 {
		t.Errorf("%d requests came of a question", n)
	}

	say := func(name, text string) error {
		_, err := w.conversations(t, name).AddMessage(t.Context(), &requestv1.AddMessageRequest{ConversationId: c.GetId(), Text: text})
		return err
	}
	state := func() string {
		t.Helper()
		out, err := w.conversations(t, "ben").GetConversation(t.Context(), &requestv1.GetConversationRequest{Id: c.GetId()})
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimPrefix(out.GetConversation().GetState().String(), "CONVERSATION_STATE_")
	}
	closes := func(name string) error {
		_, err := w.conversations(t, name).CloseConversation(t.Context(), &requestv1.CloseConversationRequest{Id: c.GetId()})
		return err
	}
	for _, step := range []struct {
		what string
		do   func() error
		want string
	}{
		{"ada, who runs it, answers", func() error { return say("ada", "the editor role") }, "ANSWERED"},
		{"ben goes on", func() error { return say("ben", "and who gives it?") }, "WAITING"},
		{"zoe, an admin, answers", func() error { return say("zoe", "pia does") }, "ANSWERED"},
		{"ben closes it", func() error { return closes("ben") }, "CLOSED"},
		{"and again", func() error { return closes("ben") }, "CLOSED"},
		{"ada says more", func() error { return say("ada", "by Monday") }, "ANSWERED"},
		{"and closes it", func() error { return closes("ada") }, "CLOSED"},
		{"ben says more", func() error { return say("ben", "thanks, but it is Tuesday") }, "WAITING"},
	} {
		if err := step.do(); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		if got := state(); got != step.want {
			t.Errorf("%s: %s, want %s", step.what, got, step.want)
		}
	}
	out, err := w.conversations(t, "ada").ListMessages(t.Context(), &requestv1.ListMessagesRequest{ConversationId: c.GetId()})
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, m := range out.GetMessages()[1:] {
		said = append(said, m.GetAuthor().GetDisplayName()+": "+m.GetText())
	}
	if want := []string{"ada: the editor role", "ben: and who gives it?", "zoe: pia does", "ada: by Monday", "ben: thanks, but it is Tuesday"}; !slices.Equal(said, want) {
		t.Errorf("said %q", said)
	}
	if added, closed := len(emitted[*eventv1.ConversationMessageAdded](t, w)), len(emitted[*eventv1.ConversationClosed](t, w)); added != 5 || closed != 2 {
		t.Errorf("%d messages and %d ends were told", added, closed)
	}
}

// B-CAT-02: for those whom it does not concern a conversation is not there; who sees all
// sees it, and a risk manager changes nothing.
func TestWhoSeesConversations(t *testing.T) {
	t.Parallel()
	w := start(t)
	w.join(t, "olga", w.roles["ben"])
	w.handled(t)
	c := w.asks(t, "ben", "who am I?")
	for _, tt := range []struct {
		who                string
		sees, speaks, asks bool // asks: it is for them to answer
	}{
		{"ben", true, true, false},
		{"ada", true, true, true},
		{"zoe", true, true, false}, // ada is there
		{"ian", true, true, false},
		{"ria", true, false, false},
		{"ann", false, false, false}, // ben's manager
		{"pia", false, false, false}, // approves, and does not run it
		{"olga", false, false, false},
		{"ext", false, false, false},
	} {
		client := w.conversations(t, tt.who)
		_, err := client.GetConversation(t.Context(), &requestv1.GetConversationRequest{Id: c.GetId()})
		_, errMessages := client.ListMessages(t.Context(), &requestv1.ListMessagesRequest{ConversationId: c.GetId()})
		for _, err := range []error{err, errMessages} {
			if !tt.sees {
				wantError(t, err, codes.NotFound, "CONVERSATION_NOT_FOUND")
			} else if err != nil {
				t.Errorf("%s: %v", tt.who, err)
			}
		}
		if got := slices.Contains(w.conversationsOf(t, tt.who, allConversations), c.GetId()); got != tt.sees {
			t.Errorf("%s finds it: %v", tt.who, got)
		}
		if got := slices.Contains(w.conversationsOf(t, tt.who, myConversations), c.GetId()); got != (tt.who == "ben") {
			t.Errorf("%s finds it among their own: %v", tt.who, got)
		}
		if got := slices.Contains(w.conversationsOf(t, tt.who, toAnswer), c.GetId()); got != tt.asks {
			t.Errorf("%s is to answer: %v", tt.who, got)
		}
		_, errSay := client.AddMessage(t.Context(), &requestv1.AddMessageRequest{ConversationId: c.GetId(), Text: tt.who})
		_, errClose := client.CloseConversation(t.Context(), &requestv1.CloseConversationRequest{Id: c.GetId()})
		for _, err := range []error{errSay, errClose} {
			switch {
			case tt.speaks && err != nil:
				t.Errorf("%s: %v", tt.who, err)
			case tt.sees && !tt.speaks:
				wantError(t, err, codes.PermissionDenied, "NOT_YOUR_CONVERSATION")
			case !tt.sees:
				wantError(t, err, codes.NotFound, "CONVERSATION_NOT_FOUND")
			}
		}
	}

	// Where nobody runs the app it is the admins who are to answer.
	w.leave(t, "ada")
	w.handled(t)
	for name, want := range map[string]bool{"zoe": true, "ian": true, "ria": false} {
		if got := slices.Contains(w.conversationsOf(t, name, toAnswer), c.GetId()); got != want {
			t.Errorf("%s is to answer since ada has left: %v", name, got)
		}
	}
}

// B-CAT-02, B-REQ-06: where those who run an app cannot answer, because they only look, are
// switched off, or ask themselves, it is for the admins to answer; and who only looks
// answers nobody else, whatever they run.
func TestWhoCannotAnswer(t *testing.T) {
	t.Parallel()
	w := start(t)
	runBy := func(name, admin string) *requestv1.App {
		return w.app(t, &requestv1.CreateAppRequest{Name: name, AdminIds: []string{w.id(admin)}}, map[string]string{})
	}
	ask := func(who string, app *requestv1.App) string {
		t.Helper()
		out, err := w.conversations(t, who).CreateConversation(t.Context(), &requestv1.CreateConversationRequest{AppId: app.GetId(), Text: "?"})
		if err != nil {
			t.Fatal(err)
		}
		return out.GetConversation().GetId()
	}
	looks, off, self := ask("ben", runBy("Ledger", "ria")), ask("ben", runBy("Wiki", "pia")), ask("ann", runBy("Mail", "ann"))
	w.users["pia"].Version++
	w.users["pia"].State = identityv1.UserState_USER_STATE_SUSPENDED
	w.publish(t, w.id("pia"), &eventv1.UserSuspended{User: w.users["pia"]})
	w.handled(t)
	for _, c := range []string{looks, off, self} {
		if !slices.Contains(w.conversationsOf(t, "zoe", toAnswer), c) {
			t.Errorf("%s of %s stands in nobody's list", c, []string{looks, off, self})
		}
	}
	if got := w.conversationsOf(t, "ria", toAnswer); len(got) != 0 {
		t.Errorf("who only looks is to answer %q", got)
	}
	_, err := w.conversations(t, "ria").AddMessage(t.Context(), &requestv1.AddMessageRequest{ConversationId: looks, Text: "so"})
	wantError(t, err, codes.PermissionDenied, "NOT_YOUR_CONVERSATION")
}

// B-CAT-02, B-REQ-15: what is asked about an app that is deleted, or by somebody who has
// left, is closed with the reason, and stays to be read.
func TestConversationsEnd(t *testing.T) {
	t.Parallel()
	w := start(t)
	wiki := w.app(t, &requestv1.CreateAppRequest{Name: "Wiki"}, map[string]string{})
	asked, err := w.conversations(t, "ben").CreateConversation(t.Context(), &requestv1.CreateConversationRequest{AppId: wiki.GetId(), Text: "is it read?"})
	if err != nil {
		t.Fatal(err)
	}
	other := w.asks(t, "ben", "and this?")
	if _, err := w.apps(t, "zoe").DeleteApp(t.Context(), &requestv1.DeleteAppRequest{Id: wiki.GetId()}); err != nil {
		t.Fatal(err)
	}
	check := func(c *requestv1.Conversation, reason string) {
		t.Helper()
		out, err := w.conversations(t, "zoe").GetConversation(t.Context(), &requestv1.GetConversationRequest{Id: c.GetId()})
		if err != nil || out.GetConversation().GetState() != requestv1.ConversationState_CONVERSATION_STATE_CLOSED || out.GetConversation().GetClosingReason() != reason ||
			out.GetConversation().GetAppName() != c.GetAppName() {
			t.Errorf("%v %v, want closed: %s", out, err, reason)
		}
	}
	check(asked.GetConversation(), "the app Wiki was deleted")
	_, err = w.conversations(t, "ben").AddMessage(t.Context(), &requestv1.AddMessageRequest{ConversationId: asked.GetConversation().GetId(), Text: "hello?"})
	wantError(t, err, codes.FailedPrecondition, "APP_DELETED")
	_, err = w.conversations(t, "ben").CreateConversation(t.Context(), &requestv1.CreateConversationRequest{AppId: wiki.GetId(), Text: "hello?"})
	wantError(t, err, codes.InvalidArgument, "APP_UNKNOWN", "app_id")

	w.leave(t, "ben")
	w.handled(t)
	check(other, "ben has left")
	_, err = w.conversations(t, "ada").AddMessage(t.Context(), &requestv1.AddMessageRequest{ConversationId: other.GetId(), Text: "are you there?"})
	wantError(t, err, codes.FailedPrecondition, "ASKER_LEFT")
	check(other, "ben has left")
	w.comeBack(t, "ben")
	w.handled(t)
	if _, err := w.conversations(t, "ada").AddMessage(t.Context(), &requestv1.AddMessageRequest{ConversationId: other.GetId(), Text: "welcome back"}); err != nil {
		t.Errorf("to who has come back: %v", err)
	}
	servicetest.Wait(t, w.Harness, func(e *eventv1.ConversationClosed) bool {
		return e.GetConversation().GetId() == other.GetId() && e.GetConversation().GetClosingReason() == "ben has left"
	})
}

// B-CAT-02: bad input changes nothing, and a repeated call says nothing twice.
func TestConversationInput(t *testing.T) {
	t.Parallel()
	w := start(t)
	ben := w.conversations(t, "ben")
	for _, tt := range []struct {
		name  string
		in    *requestv1.CreateConversationRequest
		want  string
		field string
	}{
		{"blank", &requestv1.CreateConversationRequest{AppId: w.crm.GetId(), Text: " \n\t"}, "BLANK", "text"},
		{"an app that there is not", &requestv1.CreateConversationRequest{AppId: id.New().String(), Text: "?"}, "APP_UNKNOWN", "app_id"},
	} {
		_, err := ben.CreateConversation(t.Context(), tt.in)
		wantError(t, err, codes.InvalidArgument, tt.want, tt.field)
	}
	// Somebody from outside asks about what they were let in for.
	_, err := w.conversations(t, "ext").CreateConversation(t.Context(), &requestv1.CreateConversationRequest{AppId: w.crm.GetId(), Text: "?"})
	wantError(t, err, codes.InvalidArgument, "APP_UNKNOWN", "app_id")
	if n := len(w.conversationsOf(t, "zoe", allConversations)); n != 0 {
		t.Errorf("%d came of bad input", n)
	}

	in := &requestv1.CreateConversationRequest{AppId: w.crm.GetId(), Text: "once?", RequestId: id.New().String()}
	first, err := ben.CreateConversation(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := ben.CreateConversation(t.Context(), in); err != nil || again.GetConversation().GetId() != first.GetConversation().GetId() {
		t.Errorf("again: %v %v", again, err)
	}
	say := &requestv1.AddMessageRequest{ConversationId: first.GetConversation().GetId(), Text: "twice?", RequestId: id.New().String()}
	for range 2 {
		if _, err := ben.AddMessage(t.Context(), say); err != nil {
			t.Fatal(err)
		}
	}
	got, err := ben.GetConversation(t.Context(), &requestv1.GetConversationRequest{Id: first.GetConversation().GetId()})
	if err != nil || got.GetConversation().GetMessageCount() != 2 {
		t.Errorf("said %v %v", got, err)
	}
	_, err = ben.AddMessage(t.Context(), &requestv1.AddMessageRequest{ConversationId: first.GetConversation().GetId(), Text: "  "})
	wantError(t, err, codes.InvalidArgument, "BLANK", "text")

	for range 19 {
		w.asks(t, "ben", "more")
	}
	_, err = ben.CreateConversation(t.Context(), &requestv1.CreateConversationRequest{AppId: w.crm.GetId(), Text: "too many"})
	wantError(t, err, codes.FailedPrecondition, "TOO_MANY_OPEN")
	if _, err := ben.CloseConversation(t.Context(), &requestv1.CloseConversationRequest{Id: first.GetConversation().GetId()}); err != nil {
		t.Fatal(err)
	}
	w.asks(t, "ben", "one less, one more")
	// What is closed is not opened past that either by who asked; who answers opens it.
	say.RequestId = ""
	_, err = ben.AddMessage(t.Context(), say)
	wantError(t, err, codes.FailedPrecondition, "TOO_MANY_OPEN")
	if _, err := w.conversations(t, "ada").AddMessage(t.Context(), say); err != nil {
		t.Errorf("an answer to who has many open: %v", err)
	}
	filtered, err := w.conversations(t, "zoe").ListConversations(t.Context(), &requestv1.ListConversationsRequest{
		State: requestv1.ConversationState_CONVERSATION_STATE_WAITING, Filter: `opening:"one less" AND asker.displayName = "ben" AND appName = "CRM"`,
	})
	if err != nil || len(filtered.GetConversations()) != 1 || time.Since(filtered.GetConversations()[0].GetCreateTime().AsTime()) > time.Hour {
		t.Errorf("found %v %v", filtered, err)
	}
}

// B-CAT-02: nobody gets past the limit by asking many things at once.
func TestConversationsAtOnce(t *testing.T) {
	t.Parallel()
	w := start(t)
	client := w.conversations(t, "ben")
	var calls sync.WaitGroup
	for range 40 {
		calls.Go(func() {
			_, err := client.CreateConversation(t.Context(), &requestv1.CreateConversationRequest{AppId: w.crm.GetId(), Text: "now?"})
			if err != nil && rpctest.Reason(err) != "TOO_MANY_OPEN" {
				t.Error(err)
			}
		})
	}
	calls.Wait()
	if n := len(w.conversationsOf(t, "ben", myConversations)); n != 20 {
		t.Errorf("%d are open", n)
	}
}

// B-USR-12: a conversation belongs to the environment of who asked; people of another one
// do not see it, and ask about nothing that is not offered to them.
func TestConversationsOfEnvironments(t *testing.T) {
	t.Parallel()
	w := startEnvironments(t)
	mail, err := w.apps(t, "amy").ListApps(t.Context(), &requestv1.ListAppsRequest{Query: "Mail"})
	if err != nil || len(mail.GetApps()) != 1 {
		t.Fatal(mail, err)
	}
	out, err := w.conversations(t, "amy").CreateConversation(t.Context(), &requestv1.CreateConversationRequest{AppId: mail.GetApps()[0].GetId(), Text: "?"})
	if err != nil || out.GetConversation().GetEnvironmentId() != w.a {
		t.Fatal(out, err)
	}
	for name, want := range map[string]bool{"amy": true, "anna": true, "bert": false, "zoe": true, "ann": false} {
		if got := slices.Contains(w.conversationsOf(t, name, allConversations), out.GetConversation().GetId()); got != want {
			t.Errorf("%s sees it: %v", name, got)
		}
	}
	of, err := w.apps(t, "bert").ListApps(t.Context(), &requestv1.ListAppsRequest{Filter: `environmentId = "` + w.b + `"`})
	if err != nil || len(of.GetApps()) == 0 {
		t.Fatal(of, err)
	}
	_, err = w.conversations(t, "amy").CreateConversation(t.Context(), &requestv1.CreateConversationRequest{AppId: of.GetApps()[0].GetId(), Text: "?"})
	wantError(t, err, codes.InvalidArgument, "APP_UNKNOWN", "app_id")
	// Somebody of the organization about an environment's app.
	out, err = w.conversations(t, "ann").CreateConversation(t.Context(), &requestv1.CreateConversationRequest{AppId: of.GetApps()[0].GetId(), Text: "?"})
	if err != nil || out.GetConversation().GetEnvironmentId() != w.b {
		t.Fatal(out, err)
	}
	if got := w.conversationsOf(t, "anna", allConversations); slices.Contains(got, out.GetConversation().GetId()) {
		t.Error("the admin of another environment sees it")
	}
}
