// Command cmd serves the demo app by itself, in memory, until its standard input ends.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"gatehouse.dev/services/standalone/internal/demoapp"
)

func main() {
	groups := flag.String("groups", "", "groups that are there from the start, separated by commas")
	flag.Parse()
	if err := run(os.Getenv("SCIM_TOKEN"), strings.FieldsFunc(*groups, func(r rune) bool { return r == ',' })); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run prints one line of JSON that says where the SCIM service is.
func run(token string, groups []string) error {
	app, err := demoapp.New(demoapp.Config{Token: token, Groups: groups, Title: "Demo app"})
	if err != nil {
		return err
	}
	lis, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: app, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = server.Close()
	}()
	if err := json.NewEncoder(os.Stdout).Encode(map[string]string{"url": "http://" + lis.Addr().String() + "/scim/v2"}); err != nil {
		return err
	}
	if err := server.Serve(lis); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
