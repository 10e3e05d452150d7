package standalone

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// dataDir is the folder that keeps everything that lasts. One process at a
// time has it.
type dataDir struct {
	path string
	lock *os.File
}

// openDataDir makes the folder if it is missing, and locks it.
func openDataDir(path string) (*dataDir, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("find data directory: %w", err)
	}
	// Others may pass but not look: a private PostgreSQL can be another user.
	if err := os.MkdirAll(path, 0o711); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data directory: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		lock.Close()
		return nil, fmt.Errorf("data directory %s is in use by another process (GATEHOUSE_DATA_DIR chooses another)", path)
	}
	return &dataDir{path: path, lock: lock}, nil
}

// Close gives the folder back.
func (d *dataDir) Close() error { return d.lock.Close() }

// secrets derives every key of this installation from one random secret.
type secrets struct{ root []byte }

func (d *dataDir) secrets() (secrets, error) {
	s, err := readSecrets(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		root := make([]byte, 32)
		_, _ = rand.Read(root) // never fails
		if err := d.writeFile("secret", []byte(hex.EncodeToString(root)+"\n")); err != nil {
			return secrets{}, err
		}
		return secrets{root: root}, nil
	}
	return s, err
}

// readSecrets reads the secret of a data directory.
func readSecrets(dir string) (secrets, error) {
	name := filepath.Join(dir, "secret")
	b, err := os.ReadFile(name)
	if err != nil {
		return secrets{}, fmt.Errorf("read secret: %w", err)
	}
	root := make([]byte, 32)
	if len(b) < 64 {
		return secrets{}, fmt.Errorf("read secret: %s is damaged", name)
	}
	if _, err := hex.Decode(root, b[:64]); err != nil {
		return secrets{}, fmt.Errorf("read secret: %s is damaged", name)
	}
	return secrets{root: root}, nil
}

// key is the 32-byte key for one use.
func (s secrets) key(use string) []byte {
	k, err := hkdf.Key(sha256.New, s.root, nil, "gatehouse standalone "+use, 32)
	if err != nil { // only for lengths that this is not
		panic(err)
	}
	return k
}

// text is a secret for one use that fits into a header.
func (s secrets) text(use string) string { return base64.RawURLEncoding.EncodeToString(s.key(use)) }

// write puts a value into a file as JSON, whole or not at all.
func (d *dataDir) write(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return d.writeFile(name, append(b, '\n'))
}

func (d *dataDir) writeFile(name string, b []byte) error {
	tmp, err := os.CreateTemp(d.path, name+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer os.Remove(tmp.Name()) // no longer there once renamed
	_, err = tmp.Write(b)
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(d.path, name))
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

func (d *dataDir) remove(name string) { _ = os.Remove(filepath.Join(d.path, name)) }
