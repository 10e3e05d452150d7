package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
)

// askReady asks the service that runs with these settings, on this machine, whether
// it is ready. The error says what it answered.
func askReady(ctx context.Context, env Env) error {
	if err := env.Err(); err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(env.String(envInnerAddr, innerAddr))
	if err != nil {
		return fmt.Errorf("%s is not of the form host:port", envInnerAddr)
	}
	if a, err := netip.ParseAddr(host); host == "" || err == nil && a.IsUnspecified() {
		host = "127.0.0.1" // listens everywhere
		if err == nil && a.Is6() {
			host = "::1"
		}
	}
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("does not answer: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil {
		return fmt.Errorf("read the answer: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return errors.New(string(bytes.TrimSpace(body)))
	}
	return nil
}
