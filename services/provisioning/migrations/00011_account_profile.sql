-- +goose Up

-- What an account says of its person is written again when that has changed. The
-- fingerprint is connector.Person.Fingerprint.
alter table account add column profile text;
comment on column account.profile is
    'Fingerprint of the profile that was last written in the app, or that the person had when the account became known; null if that is not known; empty if one was being written and nobody knows whether it was.';
update account a set profile = encode(sha256(convert_to(concat_ws(chr(31), u.user_name, u.email, u.given_name, u.family_name, u.display_name, u.title, u.department), 'UTF8')), 'hex')
from user_copy u where u.id = a.user_id and a.state <> 'absent' and not a.account_in_doubt;
