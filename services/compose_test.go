package services_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
)

// compose loads compose files, which compose's own library checks.
func compose(t *testing.T, files ...string) *types.Project {
	t.Helper()
	details := types.ConfigDetails{WorkingDir: "..", Environment: types.Mapping{}}
	for _, f := range files {
		details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{Filename: filepath.Join("..", f)})
	}
	p, err := loader.LoadWithContext(t.Context(), details, func(o *loader.Options) { o.SetProjectName("gatehouse", false) })
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func text(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func found(pattern, text string) (all []string) {
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		all = append(all, m[1])
	}
	return all
}

// The compose files hold together with the images, the settings and what init makes,
// and confine every container.
func TestComposeFiles(t *testing.T) {
	t.Parallel()
	const own = "localhost/gatehouse/"
	base, demo := compose(t, "docker-compose.yaml"), compose(t, "docker-compose.yaml", "deploy/compose.demo.yaml")
	targets := found(`(?m)^FROM base AS (\S+)`, text(t, "deploy/Containerfile"))
	settings, readme := text(t, "docs/settings.md"), text(t, "deploy/README.md")

	built := map[string]bool{}
	for _, p := range []*types.Project{base, demo} {
		for name, s := range p.Services {
			if s.User != "65532:65532" || !s.ReadOnly || s.Privileged || !slices.Equal(s.CapDrop, []string{"ALL"}) || len(s.CapAdd) > 0 ||
				!slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) {
				t.Errorf("%s is not confined", name)
			}
			if target, ok := strings.CutPrefix(s.Image, own); ok {
				built[target] = true
				if !slices.Contains(targets, target) || s.Build != nil && s.Build.Target != target || s.PullPolicy == "" || s.PullPolicy == "missing" {
					t.Errorf("%s: image %s, target %v, pulled %q", name, s.Image, s.Build, s.PullPolicy)
				}
				if s.HealthCheck != nil && s.HealthCheck.Test[1] != "/bin/"+target {
					t.Errorf("%s: health check %v", name, s.HealthCheck.Test)
				}
			} else if !strings.Contains(s.Image, ":") {
				t.Errorf("%s: any version of %s", name, s.Image)
			}
			for v := range s.Environment {
				if strings.HasPrefix(v, "GATEHOUSE_") && !strings.Contains(settings, "`"+v+"`") {
					t.Errorf("%s: nobody reads %s", name, v)
				}
			}
			// A program sees its own secrets and no other's.
			for _, v := range s.Volumes {
				of, secret := strings.CutPrefix(v.Source, "settings-")
				its := of == name || of == "postgres" && name == "roles"
				switch {
				case name == "init" && secret && v.Target != "/init/"+of:
					t.Errorf("init puts %s at %s", of, v.Target)
				case name != "init" && (v.Source == "init" || secret && (!its || !v.ReadOnly)):
					t.Errorf("%s sees %s", name, v.Source)
				}
			}
			for _, port := range s.Ports {
				if p == demo || port.HostIP != "127.0.0.1" {
					t.Errorf("%s is open at %s:%s", name, port.HostIP, port.Published)
				}
			}
		}
		for name := range p.Volumes {
			if of, ok := strings.CutPrefix(name, "settings-"); ok && !regexp.MustCompile(`init"/\{[^}]*\b`+of+`\b`).MatchString(text(t, "deploy/build.sh")) {
				t.Errorf("the image of init has no folder for %s", name)
			}
		}
	}
	if got := slices.Sorted(maps.Keys(built)); !slices.Equal(got, slices.Sorted(slices.Values(targets))) {
		t.Errorf("images %v, targets %v", got, targets)
	}

	// The development sign-in is the demo's, and there all listen on loopback.
	for name, s := range base.Services {
		if s.Environment["GATEHOUSE_DEV_SIGN_IN"] != nil || s.Environment["GATEHOUSE_ALLOW_PLAINTEXT"] != nil || s.NetworkMode == "host" {
			t.Errorf("%s: %v", name, s.Environment)
		}
	}
	for name, s := range demo.Services {
		for _, v := range []string{"GATEHOUSE_GRPC_ADDR", "GATEHOUSE_HTTP_ADDR", "GATEHOUSE_INNER_ADDR"} {
			if addr := s.Environment[v]; s.Environment["GATEHOUSE_ENV_FILE"] != nil && (addr == nil || !strings.HasPrefix(*addr, "127.0.0.1:")) {
				t.Errorf("%s: %s is not on loopback", name, v)
			}
		}
		if s.NetworkMode != "host" && name != "init" {
			t.Errorf("%s is not on the host's network", name)
		}
	}
	// PostgreSQL has the same arguments, and says where it listens.
	if a, b := base.Services["postgres"].Command, demo.Services["postgres"].Command; !slices.Equal(append(slices.Clone(a), "-clisten_addresses=127.0.0.1"), b) {
		t.Errorf("PostgreSQL: %v, in the demo %v", a, b)
	}
	for _, file := range []string{"docker-compose.yaml", "deploy/compose.demo.yaml"} {
		for _, v := range found(`\$\{([A-Z_]+)`, text(t, file)) {
			if !strings.Contains(readme, "`"+v+"`") {
				t.Errorf("deploy/README.md does not say what %s is", v)
			}
		}
	}
}
