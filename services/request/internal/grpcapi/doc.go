// Package grpcapi answers the RPCs of the request service: it checks what the
// protos cannot, makes one change in one transaction, and says so.
package grpcapi
