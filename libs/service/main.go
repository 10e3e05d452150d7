package service

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"gatehouse.dev/libs/rpc"
)

// Settings that every service's process takes.
const (
	envGRPCAddr  = "GATEHOUSE_GRPC_ADDR"
	envHTTPAddr  = "GATEHOUSE_HTTP_ADDR"
	envInnerAddr = "GATEHOUSE_INNER_ADDR"
	envLogLevel  = "GATEHOUSE_LOG_LEVEL"
	envTLSCert   = "GATEHOUSE_TLS_CERT"
	envTLSKey    = "GATEHOUSE_TLS_KEY"
	envTLSCA     = "GATEHOUSE_TLS_CA"
	envPlaintext = "GATEHOUSE_ALLOW_PLAINTEXT"
	envNATSURL   = "GATEHOUSE_NATS_URL"
	envNATSCert  = "GATEHOUSE_NATS_CERT"
	envNATSKey   = "GATEHOUSE_NATS_KEY"
	envNATSCA    = "GATEHOUSE_NATS_CA"
	envFile      = "GATEHOUSE_ENV_FILE"
	envReflect   = "GATEHOUSE_GRPC_REFLECTION"
)

// innerAddr is where a service tells how it is, unless set otherwise.
const innerAddr = "127.0.0.1:9091"

// MainFunc reads what it needs from env and runs the service until ctx ends.
type MainFunc func(ctx context.Context, env Env, lis Listeners, log *slog.Logger) error

// Main is a service's whole main function:
//
//	func main() { os.Exit(service.Main("request", run)) }
//
// Its settings are those of [ProcessEnv]. With the argument -health it asks the
// service that runs with them whether it is ready, and does nothing else: 0 if it
// is, 1 if not.
//
// It listens on GATEHOUSE_GRPC_ADDR (127.0.0.1:9090), GATEHOUSE_HTTP_ADDR
// (127.0.0.1:8080) and GATEHOUSE_INNER_ADDR (127.0.0.1:9091), serves reflection on
// the first too if GATEHOUSE_GRPC_REFLECTION is true, logs JSON to standard error
// from GATEHOUSE_LOG_LEVEL (info) on, and ends ctx at SIGINT or SIGTERM; a second signal ends the process at
// once. If GATEHOUSE_TLS_CERT, _KEY and _CA name PEM files, gRPC is mutual TLS
// on both sides: the listeners carry the server's, [Env.ClientTLS] returns the
// client's. Without them gRPC listens on loopback only, unless
// GATEHOUSE_ALLOW_PLAINTEXT is true, for a network that nobody else is on. It
// returns the exit code: 0 after a clean stop, 1 after one line
// that says what went wrong.
func Main(name string, run MainFunc) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the second signal has its usual effect
	env := ProcessEnv()
	if len(os.Args) > 1 {
		return argument(ctx, name, os.Args[1], env, os.Stderr)
	}
	return runMain(ctx, name, env, os.Stderr, run)
}

// argument answers an argument: -health, or -help. To any other, 2.
func argument(ctx context.Context, name, arg string, env Env, stderr io.Writer) int {
	switch arg {
	case "-health", "--health":
		if err := askReady(ctx, env); err != nil {
			fmt.Fprintf(stderr, "%s: %v\n", name, err)
			return 1
		}
		return 0
	case "-h", "-help", "--help":
		usage(name, stderr)
		return 0
	}
	usage(name, stderr)
	return 2
}

func usage(name string, stderr io.Writer) {
	fmt.Fprintf(stderr, "%s takes no arguments but -health, which says whether the one that runs with the same settings is ready. Its settings are environment variables, GATEHOUSE_..., which docs/settings.md lists.\n", name)
}

func runMain(ctx context.Context, name string, env Env, stderr io.Writer, run MainFunc) int {
	var level slog.Level
	levelErr := level.UnmarshalText([]byte(env.String(envLogLevel, "info")))
	log := slog.New(slog.NewJSONHandler(stderr, &slog.HandlerOptions{Level: level})).With("service", name)
	if levelErr != nil {
		log.Error("Service cannot start", "error", envLogLevel+" is not debug, info, warn or error")
		return 1
	}
	lis, err := Listeners{}, env.Err() // of the file
	if err == nil {
		lis, err = listen(ctx, env)
	}
	if err != nil {
		log.Error("Service cannot start", "error", err)
		return 1
	}
	defer lis.GRPC.Close()
	defer lis.HTTP.Close()
	defer lis.Inner.Close()
	if err := run(ctx, env, lis, log); err != nil {
		log.Error("Service failed", "error", err)
		return 1
	}
	return 0
}

func listen(ctx context.Context, env Env) (lis Listeners, err error) {
	if lis.TLS, _, err = env.tls(); err != nil {
		return Listeners{}, err
	}
	lis.Reflection = env.Bool(envReflect, false)
	open := func(name, fallback string) (net.Listener, error) {
		addr := env.String(name, fallback)
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err // without the address again
		}
		if err != nil {
			return nil, fmt.Errorf("listen on %s (%s): %w", addr, name, err)
		}
		return l, nil
	}
	if lis.GRPC, err = open(envGRPCAddr, "127.0.0.1:9090"); err != nil {
		return Listeners{}, err
	}
	if lis.TLS == nil && !env.Bool(envPlaintext, false) {
		if err := LoopbackOnly("gRPC in plain text, without "+envTLSCert+", "+envTLSKey+" and "+envTLSCA, lis.GRPC); err != nil {
			lis.GRPC.Close()
			return Listeners{}, err
		}
	}
	if lis.HTTP, err = open(envHTTPAddr, "127.0.0.1:8080"); err != nil {
		lis.GRPC.Close()
		return Listeners{}, err
	}
	if lis.Inner, err = open(envInnerAddr, innerAddr); err != nil {
		lis.GRPC.Close()
		lis.HTTP.Close()
		return Listeners{}, err
	}
	return lis, nil
}

// Peer returns the variable, which is the address of somebody who is called, as
// [rpc.Dial] takes it, or fallback. That it is none is an error, and so is, where calls
// are in plain text, that it is not on this machine, unless GATEHOUSE_ALLOW_PLAINTEXT is
// true.
func (e Env) Peer(name, fallback string) string {
	addr := e.String(name, fallback)
	if addr == "" {
		return addr
	}
	hosts, err := rpc.Hosts(addr)
	if err != nil {
		*e.errs = append(*e.errs, fmt.Errorf("%s: %w", name, err))
		return addr
	}
	if _, client, err := e.tls(); err == nil && client == nil {
		for _, host := range hosts {
			if e.Encrypted(name, host, false) {
				break
			}
		}
	}
	return addr
}

// RequiredPeer is Peer of a variable that must be set.
func (e Env) RequiredPeer(name string) string {
	e.Required(name)
	return e.Peer(name, "")
}

// Encrypted notes an error, and says that it did, if what a variable names is on
// another machine, and what is sent there is in plain text, unless
// GATEHOUSE_ALLOW_PLAINTEXT is true.
func (e Env) Encrypted(name, host string, encrypted bool) (refused bool) {
	if encrypted || host == "" || isLoopback(host) || e.Bool(envPlaintext, false) {
		return false
	}
	*e.errs = append(*e.errs, fmt.Errorf("%s is on another machine, and would be spoken to in plain text: use TLS, or set %s on a network that nobody else is on", name, envPlaintext))
	return true
}

// isLoopback says whether a host, a name or an address, is this machine.
func isLoopback(host string) bool {
	if host == "localhost" || strings.HasPrefix(host, "/") { // a socket's folder
		return true
	}
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && a.Unmap().IsLoopback()
}

// ClientTLS is what [rpc.DialConfig] takes for calling other services; nil if
// they are called in plain text.
func (e Env) ClientTLS() *tls.Config {
	_, client, err := e.tls()
	if err != nil {
		*e.errs = append(*e.errs, err)
	}
	return client
}

// NATSURL is where NATS is, GATEHOUSE_NATS_URL; empty if it is not set. One on another
// machine that is spoken to in plain text is refused.
func (e Env) NATSURL() string {
	address := e.String(envNATSURL, "")
	for one := range strings.SplitSeq(address, ",") {
		if u, err := url.Parse(strings.TrimSpace(one)); err == nil && one != "" {
			e.Encrypted(envNATSURL, u.Hostname(), u.Scheme == "tls")
		}
	}
	return address
}

// RequiredNATSURL is NATSURL for a service that needs it.
func (e Env) RequiredNATSURL() string {
	e.Required(envNATSURL)
	return e.NATSURL()
}

// NATSTLS is how NATS is spoken to by TLS: its authority is in the file that
// GATEHOUSE_NATS_CA names, or else the system's, and it is shown the certificate that
// GATEHOUSE_NATS_CERT and GATEHOUSE_NATS_KEY name. Nil if none of them is set.
func (e Env) NATSTLS() *tls.Config {
	cert, key, ca := e.String(envNATSCert, ""), e.String(envNATSKey, ""), e.String(envNATSCA, "")
	if cert == "" && key == "" && ca == "" {
		return nil
	}
	if (cert == "") != (key == "") {
		e.Refuse("%s and %s are set together or not at all", envNATSCert, envNATSKey)
		return nil
	}
	cfg, err := rpc.LoadClientTLS(cert, key, ca)
	if err != nil {
		e.Refuse("%s, %s, %s: %w", envNATSCA, envNATSCert, envNATSKey, err)
	}
	return cfg
}

func (e Env) tls() (server, client *tls.Config, err error) {
	cert, key, ca := e.String(envTLSCert, ""), e.String(envTLSKey, ""), e.String(envTLSCA, "")
	switch {
	case cert == "" && key == "" && ca == "":
		return nil, nil, nil
	case cert == "" || key == "" || ca == "":
		return nil, nil, fmt.Errorf("%s, %s and %s are set together or not at all", envTLSCert, envTLSKey, envTLSCA)
	}
	return rpc.LoadTLS(cert, key, ca)
}
