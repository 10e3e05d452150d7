package standalone

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatehouse.dev/libs/postgres"
	identitysync "gatehouse.dev/services/identity-sync"
	"gatehouse.dev/services/standalone/internal/install"
)

// SignInLink is a one-time link with which somebody signs in.
type SignInLink struct {
	// URL holds the secret.
	URL string
	// Name is whom it signs in.
	Name string
	// ExpireTime is until when it can be used.
	ExpireTime time.Time
}

// MakeSignInLink makes a one-time link for an active person of the Gatehouse that runs on
// a data directory, of the organization with a sign-in name or id or, if that is empty, of
// any. Whoever may read the directory may do so.
func MakeSignInLink(ctx context.Context, cfg Config, user, organization string) (SignInLink, error) {
	b, err := os.ReadFile(filepath.Join(cfg.DataDir, runtimeFile))
	if errors.Is(err, fs.ErrNotExist) {
		return SignInLink{}, fmt.Errorf("no Gatehouse runs on %s: start it first (GATEHOUSE_DATA_DIR names another data directory)", cfg.DataDir)
	}
	var running Runtime
	if err == nil {
		err = json.Unmarshal(b, &running)
	}
	if err != nil {
		return SignInLink{}, fmt.Errorf("read %s: %w", runtimeFile, err)
	}
	urls, err := identityURLs(cfg, running)
	if err != nil {
		return SignInLink{}, err
	}
	link, err := identitysync.CreateSignInLink(ctx, urls, user, organization)
	if err != nil {
		return SignInLink{}, err //nolint:wrapcheck // says all
	}
	return SignInLink{URL: running.URL + link.Path, Name: link.Name, ExpireTime: link.ExpireTime}, nil
}

// identityURLs are those of identity-sync's database.
func identityURLs(cfg Config, running Runtime) (postgres.URLs, error) {
	if system := running.Postgres[identitysync.Name]; system != "" {
		login := install.DatabaseName(identitysync.Name)
		return postgres.URLs{URL: strings.Replace(system, "//"+postgres.SystemLogin(login)+"@", "//"+login+"@", 1), SystemURL: system}, nil
	}
	u, err := url.Parse(cfg.PostgresURL)
	if err != nil || u.Host == "" {
		return postgres.URLs{}, errors.New("this Gatehouse uses a PostgreSQL that is not its own: name it by GATEHOUSE_POSTGRES_URL or -postgres-url, as where it was started")
	}
	secrets, err := readSecrets(cfg.DataDir)
	if err != nil {
		return postgres.URLs{}, err
	}
	return databaseURLs(u, identitysync.Name, secrets), nil
}
