-- +goose Up

-- An admin assigns access: a request with the admin as its requester, which nobody is
-- asked to decide.
alter domain request_origin drop constraint request_origin;
alter domain request_origin add constraint request_origin check (value in ('user', 'join', 'assignment'));
alter table access_request drop constraint access_request_origin_user,
	add constraint access_request_origin_user check ((origin = 'user' or origin = 'assignment') = (requester_id is not null)),
	add constraint access_request_assignment_gives check (origin <> 'assignment' or kind = 'grant');
