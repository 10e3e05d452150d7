package service_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse.dev/libs/service"
)

// asProcess makes the test's executable a service's process.
const asProcess = "GATEHOUSE_TEST_AS_PROCESS"

func TestMain(m *testing.M) {
	if os.Getenv(asProcess) != "" {
		os.Exit(process())
	}
	goleak.VerifyTestMain(m)
}

func process() int {
	return service.Main("process", func(ctx context.Context, _ service.Env, lis service.Listeners, log *slog.Logger) error {
		return service.Run(ctx, service.Spec{Name: "process", Log: log, Listeners: lis})
	})
}

func lookup(m map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) { v, ok := m[name]; return v, ok }
}

func TestRunMain(t *testing.T) {
	t.Parallel()
	taken := loopback(t)
	t.Cleanup(func() { taken.Close() })
	boom := func(context.Context, service.Env, service.Listeners, *slog.Logger) error { return errors.New("boom") }
	tests := []struct {
		name string
		env  map[string]string
		run  service.MainFunc
		code int
		want string // in the last line
	}{
		{"runs", nil, func(_ context.Context, env service.Env, lis service.Listeners, _ *slog.Logger) error {
			if lis.GRPC == nil || lis.HTTP == nil || lis.TLS != nil || env.ClientTLS() != nil {
				return errors.New("wrong listeners")
			}
			return env.Err()
		}, 0, ""},
		{"fails", nil, boom, 1, "boom"},
		{"taken port", map[string]string{"GATEHOUSE_GRPC_ADDR": taken.Addr().String()}, boom, 1, "listen on " + taken.Addr().String() + " (GATEHOUSE_GRPC_ADDR): bind: address already in use"},
		{"taken HTTP port", map[string]string{"GATEHOUSE_HTTP_ADDR": taken.Addr().String()}, boom, 1, "(GATEHOUSE_HTTP_ADDR): bind: address already in use"},
		{"address that is none", map[string]string{"GATEHOUSE_HTTP_ADDR": "nonsense"}, boom, 1, "listen on nonsense (GATEHOUSE_HTTP_ADDR)"},
		{"half of TLS", map[string]string{"GATEHOUSE_TLS_CERT": "x"}, boom, 1, "GATEHOUSE_TLS_CERT, GATEHOUSE_TLS_KEY and GATEHOUSE_TLS_CA are set together or not at all"},
		{"no TLS files", map[string]string{"GATEHOUSE_TLS_CERT": "/none/c", "GATEHOUSE_TLS_KEY": "/none/k", "GATEHOUSE_TLS_CA": "/none/ca"}, boom, 1, "read TLS authority"},
		{"plain text beyond this machine", map[string]string{"GATEHOUSE_GRPC_ADDR": "0.0.0.0:0"}, boom, 1, "gRPC in plain text, without GATEHOUSE_TLS_CERT"},
		{"plain text that is allowed", map[string]string{"GATEHOUSE_GRPC_ADDR": "0.0.0.0:0", "GATEHOUSE_ALLOW_PLAINTEXT": "true"}, boom, 1, "boom"},
		{"log level", map[string]string{"GATEHOUSE_LOG_LEVEL": "loud"}, boom, 1, "GATEHOUSE_LOG_LEVEL is not"},
		{"settings", map[string]string{"N": "many"}, func(_ context.Context, env service.Env, _ service.Listeners, _ *slog.Logger) error {
			env.Required("GATEHOUSE_X")
			env.Int("N", 1)
			return env.Err()
		}, 1, "GATEHOUSE_X is not set; N is not a whole number"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			env := map[string]string{"GATEHOUSE_GRPC_ADDR": "127.0.0.1:0", "GATEHOUSE_HTTP_ADDR": "127.0.0.1:0", "GATEHOUSE_INNER_ADDR": "127.0.0.1:0"}
			for k, v := range tt.env {
				env[k] = v
			}
			var stderr bytes.Buffer
			code := service.RunMain(t.Context(), "testing", service.NewEnv(lookup(env)), &stderr, tt.run)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if tt.want == "" {
				if stderr.Len() > 0 {
					t.Errorf("logged %s", &stderr)
				}
				return
			}
			var line struct{ Level, Service, Error string }
			if err := json.Unmarshal(stderr.Bytes(), &line); err != nil {
				t.Fatalf("not one line of JSON: %v\n%s", err, &stderr)
			}
			if line.Level != "ERROR" || line.Service != "testing" || !strings.Contains(line.Error, tt.want) {
				t.Errorf("logged %+v, want %q", line, tt.want)
			}
		})
	}
}

func TestEnv(t *testing.T) {
	t.Parallel()
	env := service.NewEnv(lookup(map[string]string{"S": "text", "EMPTY": "", "B": "true", "N": "-3", "D": "1m30s"}))
	if env.String("S", "x") != "text" || env.String("EMPTY", "x") != "x" || env.String("NONE", "x") != "x" || env.Required("S") != "text" {
		t.Error("texts are wrong")
	}
	if !env.Bool("B", false) || !env.Bool("NONE", true) || env.Int("N", 1) != -3 || env.Int("EMPTY", 7) != 7 {
		t.Error("booleans or numbers are wrong")
	}
	if env.Duration("D", time.Second) != 90*time.Second || env.Duration("NONE", time.Second) != time.Second {
		t.Error("durations are wrong")
	}
	if err := env.Err(); err != nil {
		t.Errorf("Err = %v", err)
	}

	bad := service.NewEnv(lookup(map[string]string{"B": "hunter2", "N": "hunter2", "D": "-1s"}))
	if bad.Required("R") != "" || bad.Bool("B", true) != true || bad.Int("N", 7) != 7 || bad.Duration("D", time.Second) != time.Second {
		t.Error("a wrong setting does not give the fallback")
	}
	want := "R is not set; B is not true or false; N is not a whole number; D is not a length of time such as 30s"
	if err := bad.Err(); err == nil || err.Error() != want {
		t.Errorf("Err = %v, want %s", err, want)
	}
}

// A process serves until SIGTERM, and then ends well.
func TestMainProcess(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), asProcess+"=1", "GATEHOUSE_GRPC_ADDR=127.0.0.1:0", "GATEHOUSE_HTTP_ADDR=127.0.0.1:0", "GATEHOUSE_INNER_ADDR=127.0.0.1:0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill := func() { _ = cmd.Process.Kill() } // fails once it has ended
	defer kill()
	timer := time.AfterFunc(patience, kill)
	defer timer.Stop()

	var log strings.Builder
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		log.WriteString(lines.Text() + "\n")
		var line struct {
			Msg  string
			HTTP string `json:"http_addr"`
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			t.Fatalf("not JSON: %s", lines.Text())
		}
		if line.Msg != "Service started" {
			continue
		}
		if _, _, err := net.SplitHostPort(line.HTTP); err != nil {
			t.Fatalf("address %q: %v", line.HTTP, err)
		}
		res, err := http.Get("http://" + line.HTTP + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		http.DefaultClient.CloseIdleConnections()
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("the process ended with %v", err)
	}
	if !strings.Contains(log.String(), `"msg":"Service stopped"`) {
		t.Errorf("log:\n%s", &log)
	}
}

// Whoever is called on another machine is called by TLS, or it is said that nobody
// else is on the network.
func TestPeersAreEncrypted(t *testing.T) {
	t.Parallel()
	for addr, far := range map[string]bool{
		"127.0.0.1:9090": false, "localhost:9090": false, "[::1]:9090": false, "": false,
		"request:9090": true, "10.0.0.7:9090": true, "[fd00::1]:9090": true, "localhost.example:9090": true, "dns:///request:9090": true,
		"ipv4:127.0.0.1:9090,127.0.0.2:9090": false, "ipv4:127.0.0.1:9090,10.0.0.7:9090": true, "ipv6:[::1]:9090": false, "dns:localhost:9090": false,
	} {
		env := service.NewEnv(lookup(map[string]string{"PEER": addr}))
		if got := env.Peer("PEER", ""); got != addr {
			t.Errorf("Peer = %q, want %q", got, addr)
		}
		if err := env.Err(); (err != nil) != far || far && !strings.Contains(err.Error(), "PEER is on another machine") {
			t.Errorf("%q: %v", addr, err)
		}
		env = service.NewEnv(lookup(map[string]string{"PEER": addr, "GATEHOUSE_ALLOW_PLAINTEXT": "true"}))
		env.Peer("PEER", "")
		if err := env.Err(); err != nil {
			t.Errorf("%q, allowed: %v", addr, err)
		}
	}
	for _, addr := range []string{"request", "request:", "ipv4:10.0.0.7,10.0.0.8", "ipv4:[::1]:9090", "ipv6:10.0.0.7:9090", "10.0.0.7:9090,10.0.0.8:9090", "ipv4:", "https://request:9090/", "request:http"} {
		env := service.NewEnv(lookup(map[string]string{"PEER": addr, "GATEHOUSE_ALLOW_PLAINTEXT": "true"}))
		env.Peer("PEER", "")
		if err := env.Err(); err == nil || !strings.HasPrefix(err.Error(), "PEER: ") {
			t.Errorf("%q was taken: %v", addr, err)
		}
	}
	env := service.NewEnv(lookup(nil))
	env.RequiredPeer("PEER")
	if err := env.Err(); err == nil || err.Error() != "PEER is not set" {
		t.Errorf("got %v", err)
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	for arg, want := range map[string]int{"-help": 0, "--help": 0, "-h": 0, "-port": 2, "serve": 2} {
		var said strings.Builder
		if got := service.Argument(t.Context(), "request", arg, service.NewEnv(lookup(nil)), &said); got != want || !strings.Contains(said.String(), "docs/settings.md") {
			t.Errorf("%s: %d %q", arg, got, said.String())
		}
	}
}

// -health says what the service of the same settings, on this machine, says of itself.
func TestHealthArgument(t *testing.T) {
	t.Parallel()
	code := http.StatusOK
	ready := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			code = http.StatusNotFound
		}
		w.WriteHeader(code)
		_, _ = w.Write([]byte(`{"status": "as it is"}`))
	}))
	_, port, err := net.SplitHostPort(ready.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(addr string) (int, string) {
		var said strings.Builder
		return service.Argument(t.Context(), "request", "-health", service.NewEnv(lookup(map[string]string{"GATEHOUSE_INNER_ADDR": addr})), &said), said.String()
	}
	for _, host := range []string{"127.0.0.1", "0.0.0.0", ""} {
		if got, said := ask(host + ":" + port); got != 0 || said != "" {
			t.Errorf("%q: %d %s", host, got, said)
		}
	}
	code = http.StatusServiceUnavailable
	if got, said := ask("0.0.0.0:" + port); got != 1 || !strings.Contains(said, "as it is") {
		t.Errorf("not ready: %d %s", got, said)
	}
	ready.Close()
	if got, said := ask("0.0.0.0:" + port); got != 1 || !strings.Contains(said, "does not answer") {
		t.Errorf("ended: %d %s", got, said)
	}
	if got, said := ask("9091"); got != 1 || !strings.Contains(said, "host:port") {
		t.Errorf("no address: %d %s", got, said)
	}
}

// Settings stand in a file as well: what the environment says goes before, even if it
// is empty, and a file that cannot be read ends the start.
func TestSettingsFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "env")
	begin := func(text string, args []string, env ...string) (string, error) {
		t.Helper()
		if text != "" {
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		cmd := exec.CommandContext(ctx, os.Args[0], args...)
		cmd.Env = append(append(os.Environ(), asProcess+"=1", "GATEHOUSE_ENV_FILE="+file), env...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if said, err := begin("", nil); err == nil || !strings.Contains(said, "no such file") || !strings.Contains(said, "GATEHOUSE_ENV_FILE") {
		t.Errorf("no file: %v %s", err, said)
	}
	const log = "GATEHOUSE_LOG_LEVEL=loud"
	if said, err := begin("\n# level\n"+log+"\n", nil); err == nil || !strings.Contains(said, "GATEHOUSE_LOG_LEVEL is not") {
		t.Errorf("a wrong value: %v %s", err, said)
	}
	inner := loopback(t)
	inner.Close() // nobody listens there
	if said, err := begin(log+"\nGATEHOUSE_INNER_ADDR="+inner.Addr().String(), []string{"-health"}); err == nil || !strings.Contains(said, "dial tcp "+inner.Addr().String()) {
		t.Errorf("-health does not read the file: %v %s", err, said)
	}
	if said, err := begin(log+"\nGATEHOUSE_TLS_CERT=/nowhere", nil, "GATEHOUSE_LOG_LEVEL="); err == nil || !strings.Contains(said, "set together") {
		t.Errorf("the environment does not go before: %v %s", err, said)
	}
	if said, err := begin("sesame\n", nil); err == nil || !strings.Contains(said, "line 1 is not of the form") || strings.Contains(said, "sesame") {
		t.Errorf("another form: %v %s", err, said)
	}

	values, err := service.ParseFile("# a\n\n  A=b=c \nB=\n")
	if v, ok := values["B"]; err != nil || values["A"] != "b=c" || v != "" || !ok || len(values) != 2 {
		t.Errorf("%v %v", values, err)
	}
}
