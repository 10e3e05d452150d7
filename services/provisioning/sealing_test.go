package provisioning_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/uuid"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/secretbox"
	"gatehouse.dev/libs/servicetest"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
)

// The encryption key is changed while everything runs: replicas that know both open
// everything, the data keys that the older has wrapped are wrapped again, and then it
// can go.
func TestEncryptionKeyRotates(t *testing.T) {
	t.Parallel()
	w := start(t)
	stubborn := w.integration(t, newApp(t)) // its row cannot be saved, and it comes first
	made := w.integration(t, newApp(t))
	sealed := func() (secret []byte) {
		err := w.DB.AsSystemRead(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			return tx.QueryRow(ctx, "select secret from integration where id = $1", made).Scan(&secret)
		})
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	before := sealed()
	wrapped := func() (key []byte) {
		err := w.DB.AsSystemRead(t.Context(), func(ctx context.Context, tx *postgres.Tx) error {
			return tx.QueryRow(ctx, "select wrapped from data_key where organization_id = $1", w.org).Scan(&key)
		})
		if err != nil {
			t.Fatal(err)
		}
		return key
	}

	first, next := w.key, secretbox.NewKey()
	older, err := secretbox.New(first)
	if err != nil {
		t.Fatal(err)
	}
	box, err := secretbox.New(next)
	if err != nil {
		t.Fatal(err)
	}
	// It opens what the next key wraps, and goes on wrapping as before.
	w.key, w.older = first, [][]byte{next}
	_, _, stop := w.StoppableReplica(t)
	stop()
	if !older.Current(wrapped()) || !slices.Equal(sealed(), before) {
		t.Fatal("it is sealed with a key that others may not have")
	}
	// Both were sealed before organizations had keys.
	for _, i := range []string{stubborn, made} {
		row := uuid.MustParse(i)
		w.exec(t, fmt.Sprintf(`update integration set secret = '\x%x' where id = '%s'`, older.Seal([]byte(scimToken), row[:]), row))
	}
	w.exec(t, `
		create function stubborn() returns trigger language plpgsql as $$ begin raise exception 'refused by the test'; end $$;
		create trigger stubborn before update on integration for each row when (new.id = '`+stubborn+`') execute function stubborn()`)
	w.key, w.older = next, [][]byte{first}
	w.Replica(t)
	servicetest.Eventually(t, "the data key is wrapped again", func() bool { return box.Current(wrapped()) })
	servicetest.Eventually(t, "the secret is sealed with it", func() bool { return !older.Current(sealed()) })

	// Without the older one.
	w.key, w.older = next, nil
	addr, _ := w.Replica(t)
	_, _, _, _, integrations := clients(w.Tokens.Dial(t, addr, w.admin))
	tested, err := integrations.TestIntegration(t.Context(), &provisioningv1.TestIntegrationRequest{Id: made})
	if err != nil || tested.GetIntegration().GetState() != provisioningv1.IntegrationState_INTEGRATION_STATE_WORKING {
		t.Errorf("%v %v", tested, err)
	}
}
