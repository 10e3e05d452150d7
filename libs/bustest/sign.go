package bustest

import (
	"bytes"
	"crypto/ed25519"
	"sync"

	"gatehouse.dev/libs/eventsig"
)

// Signer signs the events of every service in tests.
var Signer = sync.OnceValue(func() eventsig.Signer {
	s, err := eventsig.NewSigner(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	if err != nil {
		panic(err) // the size is right
	}
	return s
})

// Keys verify what [Signer] has signed, whichever service says it.
func Keys() eventsig.Keys {
	key := []ed25519.PublicKey{Signer().PublicKey()}
	return eventsig.Keys{"identity-sync": key, "request": key, "approval": key, "provisioning": key, "audit": key}
}
