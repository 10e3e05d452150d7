package provisioning_test

import (
	"context"
	"slices"
	"testing"

	"gatehouse.dev/libs/postgres"
	"gatehouse.dev/libs/secretbox"
	"gatehouse.dev/libs/servicetest"
	provisioningv1 "gatehouse.dev/proto/gen/gatehouse/provisioning/v1"
)

// The encryption key is changed while everything runs: replicas that know both open
// everything, what the older has sealed is sealed again, and then it can go.
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

	first, next := w.key, secretbox.NewKey()
	box, err := secretbox.New(next)
	if err != nil {
		t.Fatal(err)
	}
	// It opens what the next key seals, and goes on sealing as before.
	w.key, w.older = first, [][]byte{next}
	_, _, stop := w.StoppableReplica(t)
	stop()
	if !slices.Equal(sealed(), before) {
		t.Fatal("it is sealed with a key that others may not have")
	}
	w.exec(t, `
		create function stubborn() returns trigger language plpgsql as $$ begin raise exception 'refused by the test'; end $$;
		create trigger stubborn before update on integration for each row when (new.id = '`+stubborn+`') execute function stubborn()`)
	w.key, w.older = next, [][]byte{first}
	w.Replica(t)
	servicetest.Eventually(t, "it is sealed again", func() bool { return box.Current(sealed()) })

	// Without the older one.
	w.key, w.older = next, nil
	addr, _ := w.Replica(t)
	_, _, _, _, integrations := clients(w.Tokens.Dial(t, addr, w.admin))
	tested, err := integrations.TestIntegration(t.Context(), &provisioningv1.TestIntegrationRequest{Id: made})
	if err != nil || tested.GetIntegration().GetState() != provisioningv1.IntegrationState_INTEGRATION_STATE_WORKING {
		t.Errorf("%v %v", tested, err)
	}
}
