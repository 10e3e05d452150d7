package secretbox_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"

	"gatehouse.dev/libs/secretbox"
)

func box(t *testing.T, key []byte, older ...[]byte) *secretbox.Box {
	t.Helper()
	b, err := secretbox.New(key, older...)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestSealThenOpen(t *testing.T) {
	t.Parallel()
	b := box(t, secretbox.NewKey())
	for _, plaintext := range [][]byte{nil, []byte("s"), bytes.Repeat([]byte("secret "), 10_000)} {
		sealed := b.Seal(plaintext, []byte("org/row"))
		if len(plaintext) > 4 && bytes.Contains(sealed, plaintext[:5]) {
			t.Errorf("sealed value shows its plaintext")
		}
		got, err := b.Open(sealed, []byte("org/row"))
		if err != nil || !bytes.Equal(got, plaintext) {
			t.Errorf("Open(%d bytes) = %d bytes, %v", len(plaintext), len(got), err)
		}
	}
	if bytes.Equal(b.Seal([]byte("x"), nil), b.Seal([]byte("x"), nil)) {
		t.Error("two sealings of one value are equal")
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	b := box(t, secretbox.NewKey())
	good := b.Seal([]byte("password"), []byte("org/row"))

	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		if _, err := b.Open(bad, []byte("org/row")); !errors.Is(err, secretbox.ErrOpen) {
			t.Errorf("byte %d changed: err = %v, want ErrOpen", i, err)
		}
	}
	for n := range len(good) {
		if _, err := b.Open(good[:n], []byte("org/row")); !errors.Is(err, secretbox.ErrOpen) {
			t.Errorf("cut to %d bytes: err = %v, want ErrOpen", n, err)
		}
	}
	for _, aad := range []string{"", "org/other row", "org/row "} {
		if _, err := b.Open(good, []byte(aad)); !errors.Is(err, secretbox.ErrOpen) {
			t.Errorf("associated data %q: err = %v, want ErrOpen", aad, err)
		}
	}
	if _, err := box(t, secretbox.NewKey()).Open(good, []byte("org/row")); !errors.Is(err, secretbox.ErrOpen) {
		t.Errorf("other key: err = %v, want ErrOpen", err)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	oldKey, newKey := secretbox.NewKey(), secretbox.NewKey()
	before, during, after := box(t, oldKey), box(t, newKey, oldKey), box(t, newKey)

	sealed := before.Seal([]byte("password"), nil)
	if during.Current(sealed) {
		t.Error("a value under the old key counts as current")
	}
	plaintext, err := during.Open(sealed, nil)
	if err != nil {
		t.Fatalf("open with an older key: %v", err)
	}
	again := during.Seal(plaintext, nil)
	if !during.Current(again) {
		t.Error("a value sealed again does not count as current")
	}
	if got, err := after.Open(again, nil); err != nil || string(got) != "password" {
		t.Errorf("open after rotation = %q, %v", got, err)
	}
	if _, err := after.Open(sealed, nil); !errors.Is(err, secretbox.ErrOpen) {
		t.Errorf("open with the old key gone: err = %v, want ErrOpen", err)
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 16, 31, 33} {
		if _, err := secretbox.New(make([]byte, n)); err == nil {
			t.Errorf("New took a key of %d bytes", n)
		}
		if _, err := secretbox.New(secretbox.NewKey(), make([]byte, n)); err == nil {
			t.Errorf("New took an older key of %d bytes", n)
		}
	}

	key := bytes.Repeat([]byte{0xfb, 0xff, 0x01, 0x02}, 8)
	for name, s := range map[string]string{
		"standard":           base64.StdEncoding.EncodeToString(key),
		"standard, unpadded": base64.RawStdEncoding.EncodeToString(key),
		"URL-safe":           base64.URLEncoding.EncodeToString(key),
		"with a line end":    base64.StdEncoding.EncodeToString(key) + "\n",
	} {
		if got, err := secretbox.ParseKey(s); err != nil || !bytes.Equal(got, key) {
			t.Errorf("ParseKey(%s) = %x, %v", name, got, err)
		}
	}
	for name, s := range map[string]string{
		"empty":      "",
		"short":      base64.StdEncoding.EncodeToString(key[:31]),
		"not base64": strings.Repeat("§secret§", 4),
	} {
		_, err := secretbox.ParseKey(s)
		if err == nil {
			t.Errorf("ParseKey took a key that is %s", name)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("error quotes the key: %v", err)
		}
	}
}
