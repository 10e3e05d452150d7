// Package install makes what an installation of several processes needs to know:
// certificates, keys, passwords and the settings of each service, in a folder, once.
//
// What is in the folder already stays: a second run adds what is missing and renews
// certificates that end within a month. Nothing leaves the folder, whose files are
// for its owner alone. Each part of it may be a volume of its own, which one program
// gets to see: nothing is moved from one to another.
package install

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"gatehouse.dev/libs/authz"
	"gatehouse.dev/libs/busauth"
	"gatehouse.dev/libs/eventsig"
	"gatehouse.dev/libs/postgres"
)

// Config says where things are.
type Config struct {
	// Dir is the folder. It is made if it is missing.
	Dir string
	// Mount is where a service finds its own part of the folder, and the authority's
	// certificate beside it: the folder itself if empty. %s stands for the service.
	Mount string
	// Host is where services are, %s standing for the name: %s if empty.
	Host string
	// Postgres and NATS are host:port.
	Postgres, NATS string
	// Subscribers are programs that may read events, name=organization each. Those of
	// earlier runs stay.
	Subscribers []string
	// Programs are the names of programs of the organization's that call services. Those
	// of earlier runs stay.
	Programs []string
}

// services are those with a database, in the order in which they are listed.
var services = authz.Audiences()

// secrets are what an installation keeps to itself.
type secrets struct {
	// Values are random, in base64, by what they are for.
	Values map[string]string `json:"values"`
	// Subscribers are the organizations that programs read the events of, by the
	// program's name.
	Subscribers map[string]string `json:"subscribers,omitempty"`
}

// others are the names, beside those of services, that a subscriber or a program cannot
// have: of users of the bus, or of certificates.
var others = []string{"gateway", "postgres", "nats", "collector", "operator", "server"}

// programName is what a program may be called: a name of DNS in lower case, without
// dots.
var programName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// programs are the names of the configuration's programs and of those that the folder
// has. The certificate of none has a name that means somebody else.
func (cfg Config) programs() ([]string, error) {
	have, err := os.ReadDir(filepath.Join(cfg.Dir, "programs"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("list programs: %w", err)
	}
	names := slices.Clone(cfg.Programs)
	for _, e := range have {
		names = append(names, e.Name())
	}
	slices.Sort(names)
	names = slices.Compact(names)
	for _, name := range names {
		if slices.Contains(services, name) || slices.Contains(others, name) {
			return nil, fmt.Errorf("program %s: the name is taken", name)
		}
		if !programName.MatchString(name) {
			return nil, fmt.Errorf("program %q: a name has lower-case letters, digits and hyphens, 63 at most", name)
		}
	}
	return names, nil
}

// subscribe adds the subscribers of the configuration, and gives all as users of the
// bus, by name.
func (s *secrets) subscribe(added []string) ([]busauth.User, error) {
	if s.Subscribers == nil {
		s.Subscribers = map[string]string{}
	}
	for _, one := range added {
		name, organization, ok := strings.Cut(one, "=")
		if !ok {
			return nil, fmt.Errorf("subscriber %q is not of the form name=organization", one)
		}
		s.Subscribers[name] = organization
	}
	taken := append(slices.Clone(services), others...)
	users := make([]busauth.User, 0, len(s.Subscribers))
	for _, name := range slices.Sorted(maps.Keys(s.Subscribers)) {
		one, err := busauth.ParseSubscribers(name+"="+s.Subscribers[name]+":"+s.text("bus subscriber "+name), taken...)
		if err != nil {
			return nil, fmt.Errorf("subscriber %s: %w", name, err)
		}
		users = append(users, one...)
	}
	return users, nil
}

// of is the secret of 32 bytes for one use, made when it is first asked for.
func (s *secrets) of(use string) []byte {
	if b, err := base64.StdEncoding.DecodeString(s.Values[use]); err == nil && len(b) == 32 {
		return b
	}
	b := make([]byte, 32)
	_, _ = rand.Read(b) // never fails
	s.Values[use] = base64.StdEncoding.EncodeToString(b)
	return b
}

// text is a secret that fits into a URL.
func (s *secrets) text(use string) string { return base64.RawURLEncoding.EncodeToString(s.of(use)) }

// Make makes all of it.
func Make(cfg Config) error {
	if cfg.Host == "" {
		cfg.Host = "%s"
	}
	if cfg.Mount == "" {
		dir, err := filepath.Abs(cfg.Dir)
		if err != nil {
			return fmt.Errorf("find the folder: %w", err)
		}
		cfg.Mount = filepath.Join(dir, "%s")
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("make the folder: %w", err)
	}
	s, err := readSecrets(cfg.Dir)
	if err != nil {
		return err
	}
	subscribers, err := s.subscribe(cfg.Subscribers)
	if err != nil {
		return err
	}
	programs, err := cfg.programs()
	if err != nil {
		return err
	}
	a, err := openAuthority(cfg.Dir)
	if err != nil {
		return err
	}
	for _, name := range append(slices.Clone(services), "gateway", "postgres", "nats", "collector", "operator") {
		if err := a.issue(filepath.Join(cfg.Dir, name), name, x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth); err != nil {
			return err
		}
	}
	// Others are nobody's server, whatever they are called.
	for _, u := range subscribers {
		if err := a.issue(filepath.Join(cfg.Dir, "subscribers", u.Name), u.Name, x509.ExtKeyUsageClientAuth); err != nil {
			return err
		}
	}
	for _, name := range programs {
		if err := a.issue(filepath.Join(cfg.Dir, "programs", name), name, x509.ExtKeyUsageClientAuth); err != nil {
			return err
		}
	}
	settings, err := cfg.settings(s)
	if err != nil {
		return err
	}
	superuser := s.text("postgres superuser")
	files := map[string]string{
		filepath.Join("postgres", "roles.sql"):   cfg.roles(s),
		filepath.Join("postgres", "pg_hba.conf"): hba,
		filepath.Join("postgres", "password"):    superuser + "\n",
		filepath.Join("postgres", "pgpass"):      "*:*:*:postgres:" + superuser + "\n",
		filepath.Join("nats", "nats.conf"):       cfg.natsConfig(s, subscribers),
	}
	for _, u := range subscribers {
		files[filepath.Join("subscribers", u.Name, "env")] = "NATS_URL=tls://" + u.Name + ":" + u.Password + "@" + cfg.NATS + "\n"
	}
	for service, lines := range settings {
		files[filepath.Join(service, "env")] = strings.Join(lines, "\n") + "\n"
	}
	// The secrets first: what is made of them is made again if this is interrupted.
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write secrets: %w", err)
	}
	if err := write(cfg.Dir, "secrets.json", append(b, '\n')); err != nil {
		return err
	}
	for name, text := range files {
		if err := write(cfg.Dir, name, []byte(text)); err != nil {
			return err
		}
	}
	return nil
}

func readSecrets(dir string) (*secrets, error) {
	s := &secrets{Values: map[string]string{}}
	b, err := os.ReadFile(filepath.Join(dir, "secrets.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(b, s)
	}
	if err != nil || s.Values == nil {
		return nil, fmt.Errorf("read secrets.json: it is damaged, and nothing was changed: %w", errors.Join(err, errors.New("no values")))
	}
	return s, nil
}

func write(dir, name string, b []byte) error {
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	half := file + ".half"
	err := os.WriteFile(half, b, 0o600)
	if err == nil {
		err = os.Rename(half, file)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// DatabaseName is the name of a service's database, and of the role that serves
// callers from it.
func DatabaseName(service string) string {
	return "gatehouse_" + strings.ReplaceAll(service, "-", "_")
}

// ownerOf is the role that owns and migrates a service's database.
func ownerOf(service string) string { return DatabaseName(service) + "_owner" }

// settings are the variables of each service.
func (cfg Config) settings(s *secrets) (map[string][]string, error) {
	at := func(service string, port int) string { return fmt.Sprintf(cfg.Host+":%d", service, port) }
	keys, clients := eventsig.Keys{}, []string{"operator=" + s.text("client operator")}
	for _, n := range services {
		signer, err := eventsig.NewSigner(s.of("events " + n))
		if err != nil {
			return nil, fmt.Errorf("make the key of %s's events: %w", n, err)
		}
		keys[n] = []ed25519.PublicKey{signer.PublicKey()}
		clients = append(clients, n+"="+s.text("client "+n))
	}
	mounted := func(service, file string) string {
		return filepath.Join(strings.ReplaceAll(cfg.Mount, "%s", service), file)
	}
	common := func(n string) []string {
		return []string{
			"GATEHOUSE_GRPC_ADDR=0.0.0.0:9090", "GATEHOUSE_HTTP_ADDR=0.0.0.0:8080", "GATEHOUSE_INNER_ADDR=0.0.0.0:9091",
			"GATEHOUSE_TLS_CERT=" + mounted(n, "tls.crt"), "GATEHOUSE_TLS_KEY=" + mounted(n, "tls.key"), "GATEHOUSE_TLS_CA=" + mounted(n, "ca.crt"),
			"GATEHOUSE_IDENTITY_ADDR=" + at("identity-sync", 9090),
			"GATEHOUSE_REQUEST_ADDR=" + at("request", 9090),
			"GATEHOUSE_PROVISIONING_ADDR=" + at("provisioning", 9090),
			"GATEHOUSE_APPROVAL_ADDR=" + at("approval", 9090),
		}
	}
	all := map[string][]string{"gateway": append(common("gateway"),
		"GATEHOUSE_IDENTITY_HTTP_ADDR="+at("identity-sync", 8080),
		"GATEHOUSE_AUDIT_ADDR="+at("audit", 9090),
		"GATEHOUSE_NATS_URL=tls://gateway:"+s.text("bus gateway")+"@"+cfg.NATS,
	)}
	for _, n := range services {
		url := func(role, password string) string {
			return fmt.Sprintf("postgres://%s:%s@%s/%s?sslmode=verify-full&sslrootcert=%s", role, password, cfg.Postgres, DatabaseName(n), mounted(n, "ca.crt"))
		}
		all[n] = append(common(n),
			"GATEHOUSE_POSTGRES_URL="+url(DatabaseName(n), s.text("postgres "+n)),
			"GATEHOUSE_POSTGRES_SYSTEM_URL="+url(postgres.SystemLogin(DatabaseName(n)), s.text("postgres system "+n)),
			"GATEHOUSE_POSTGRES_OWNER_URL="+url(ownerOf(n), s.text("postgres owner "+n)),
			"GATEHOUSE_NATS_URL=tls://"+n+":"+s.text("bus "+n)+"@"+cfg.NATS,
			"GATEHOUSE_CLIENT_ID="+n, "GATEHOUSE_CLIENT_SECRET="+s.text("client "+n),
			"GATEHOUSE_EVENT_KEY="+base64.StdEncoding.EncodeToString(s.of("events "+n)),
			"GATEHOUSE_EVENT_KEYS="+keys.String(services...),
		)
		switch n {
		case "identity-sync":
			all[n] = append(all[n], "GATEHOUSE_CLIENTS="+strings.Join(clients, ","))
			fallthrough
		case "provisioning":
			all[n] = append(all[n], "GATEHOUSE_ENCRYPTION_KEY="+base64.StdEncoding.EncodeToString(s.of("encryption "+n)))
		}
	}
	return all, nil
}

// hba says who may connect to PostgreSQL: with a password, and from elsewhere by TLS
// alone.
const hba = `# type database user address method
local   all      all          scram-sha-256
hostssl all      all  all     scram-sha-256
`

// roles is what a superuser runs once with psql: roles, databases and who may enter
// which. Again is fine.
func (cfg Config) roles(s *secrets) string {
	var b strings.Builder
	role := func(name, kind, group string) {
		fmt.Fprintf(&b, "select 'create role %[1]s %[2]s' where not exists (select from pg_roles where rolname = '%[1]s') \\gexec\n", name, kind)
		if group != "" {
			fmt.Fprintf(&b, "grant %s to %s;\n", group, name)
		}
	}
	login := func(name, group, password string) {
		role(name, "login", group)
		fmt.Fprintf(&b, "alter role %s password '%s';\n", name, password)
	}
	b.WriteString("-- For a superuser, with psql. Again is fine.\n\\set ON_ERROR_STOP on\n")
	role(postgres.RuntimeRole, "nologin", "")
	role(postgres.SystemRole, "nologin", postgres.RuntimeRole)
	for _, n := range services {
		name := DatabaseName(n)
		system := postgres.SystemLogin(name)
		fmt.Fprintf(&b, "\n-- %s\n", n)
		login(ownerOf(n), postgres.SystemRole, s.text("postgres owner "+n))
		login(name, postgres.RuntimeRole, s.text("postgres "+n))
		login(system, postgres.SystemRole, s.text("postgres system "+n))
		fmt.Fprintf(&b, "select 'create database %[1]s owner %[2]s' where not exists (select from pg_database where datname = '%[1]s') \\gexec\n", name, ownerOf(n))
		fmt.Fprintf(&b, "revoke all on database %[1]s from public;\ngrant connect, temporary on database %[1]s to %[1]s, %[2]s;\n", name, system)
	}
	return b.String()
}

// natsConfig is that of the NATS server.
func (cfg Config) natsConfig(s *secrets, subscribers []busauth.User) string {
	users := append([]busauth.User{
		busauth.Operator("operator", s.text("bus operator")),
		busauth.Listener("gateway", s.text("bus gateway")),
	}, subscribers...)
	for _, n := range services {
		users = append(users, busauth.Service(n, s.text("bus "+n)))
	}
	mounted := strings.ReplaceAll(cfg.Mount, "%s", "nats")
	return fmt.Sprintf(`port: 4222
max_payload: 1MB
jetstream {
  store_dir: /data
  # An acknowledged event survives the loss of power.
  sync_interval: always
}
tls {
  cert_file: %q
  key_file: %q
  ca_file: %q
  verify: true
}
`, filepath.Join(mounted, "tls.crt"), filepath.Join(mounted, "tls.key"), filepath.Join(mounted, "ca.crt")) + busauth.Config(users)
}
