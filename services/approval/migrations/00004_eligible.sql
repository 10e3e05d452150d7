-- +goose Up

-- Nobody is asked about somebody who is not active.
alter table approval add column held boolean not null default false, add column waits_for uuid;
comment on column approval.held is 'The beneficiary is not active: the open steps are vacant until they are.';
comment on column approval.waits_for is 'The beneficiary, if access is to be given to them: nobody is asked while they are not active. Null for the others.';
update approval a set waits_for = t.beneficiary_id from task t where t.request_id = a.request_id and a.state = 'open';
create index approval_waits_for on approval (waits_for);
create index approval_held on approval (request_id) where held;
create index user_copy_suspended on user_copy (id) where state = 'suspended';

-- Whoever has lost what they were asked for decides no more.
alter table task add column recheck boolean not null default false;
comment on column task.recheck is 'The reviewer may have lost what made them one: maintenance looks whether somebody else is to be asked.';
create index task_recheck on task (request_id) where recheck;
create index task_open_about on task (beneficiary_id) where state = 'open';
