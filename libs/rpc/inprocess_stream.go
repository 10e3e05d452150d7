package rpc

import (
	"context"
	"io"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

// streamBuffer is how many messages may wait in each direction before their
// sender has to.
const streamBuffer = 16

// stream is a streaming call within the process, as both of its sides see it.
// Messages travel in their wire form.
type stream struct {
	*call
	requests chan []byte // closed by CloseSend
	answers  chan []byte

	once  sync.Once
	ended chan struct{} // closed when the server has ended the call
	err   error         // what it ended with; set before
}

func (c *Conn) newStream(ctx context.Context, desc *grpc.StreamDesc, name string, o callOptions) (grpc.ClientStream, error) {
	cl, err := c.begin(ctx, name, desc, o)
	if err != nil {
		return nil, err
	}
	s := &stream{
		call: cl, ended: make(chan struct{}),
		requests: make(chan []byte, streamBuffer), answers: make(chan []byte, streamBuffer),
	}
	client := &clientStream{stream: s}
	client.forget = context.AfterFunc(cl.client, func() {
		err := cl.abandon()
		client.over.Do(func() { client.end(err) })
	})
	go func() { s.conclude(cl.served(s.serve())) }()
	return client, nil
}

// serve calls the handler, with the server's interceptors.
func (s *stream) serve() error {
	m := s.srv.methods[s.name]
	if m.stream == nil {
		return unknownMethod(s.name)
	}
	info := &grpc.StreamServerInfo{FullMethod: s.name, IsClientStream: m.stream.ClientStreams, IsServerStream: m.stream.ServerStreams}
	return s.srv.stream(m.impl, &serverStream{s}, info, m.stream.Handler)
}

// conclude tells the client how the call has ended; only the first time counts.
func (s *stream) conclude(err error) {
	s.once.Do(func() {
		s.err = err
		close(s.ended)
	})
}

func marshal(m any) ([]byte, error) {
	msg, ok := m.(proto.Message)
	if !ok {
		return nil, status.Errorf(codes.Internal, "%T is not a message", m)
	}
	b, err := proto.Marshal(msg)
	if err != nil {
		return nil, status.Errorf(codes.Internal, "marshal %T: %v", m, err)
	}
	return b, nil
}

func unmarshal(b []byte, m any, most int) error {
	msg, ok := m.(proto.Message)
	if !ok {
		return status.Errorf(codes.Internal, "%T is not a message", m)
	}
	if len(b) > most {
		return tooLarge(len(b), most)
	}
	if err := proto.Unmarshal(b, msg); err != nil {
		return status.Errorf(codes.Internal, "unmarshal %T: %v", m, err)
	}
	return nil
}

// serverStream is the handler's side.
type serverStream struct{ *stream }

func (s *serverStream) Context() context.Context { return s.server }

func (s *serverStream) SetTrailer(md metadata.MD) { _ = s.call.SetTrailer(md) }

func (s *serverStream) SendMsg(m any) error {
	b, err := marshal(m)
	if err != nil {
		return err
	}
	_ = s.SendHeader(nil) // if it is not sent already
	select {
	case s.answers <- b:
		return nil
	case <-s.server.Done():
		return status.FromContextError(s.server.Err()).Err()
	}
}

func (s *serverStream) RecvMsg(m any) error {
	select {
	case b, more := <-s.requests:
		if !more {
			return io.EOF
		}
		err := unmarshal(b, m, s.srv.maxMessage)
		if err != nil {
			s.conclude(err) // the client need not wait for the handler
		}
		return err
	case <-s.server.Done():
		return status.FromContextError(s.server.Err()).Err()
	}
}

// clientStream is the caller's side.
type clientStream struct {
	*stream
	forget func() bool // stops waiting for the end of the client's context
	over   sync.Once
	closed bool
}

// finish ends the client's side.
func (s *clientStream) finish(err error) {
	s.forget()
	s.over.Do(func() { s.end(err) })
}

func (s *clientStream) Context() context.Context { return s.client }

func (s *clientStream) Header() (metadata.MD, error) {
	select {
	case <-s.sent:
	case <-s.ended:
	case <-s.client.Done():
		return nil, status.FromContextError(s.client.Err()).Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.header.Copy(), nil
}

func (s *clientStream) Trailer() metadata.MD {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trailer.Copy()
}

func (s *clientStream) CloseSend() error {
	if !s.closed {
		s.closed = true
		close(s.requests)
	}
	return nil
}

// SendMsg returns io.EOF once the call has ended; RecvMsg says why.
func (s *clientStream) SendMsg(m any) error {
	if s.closed {
		return status.Error(codes.Internal, "SendMsg called after CloseSend")
	}
	b, err := marshal(m)
	if err != nil {
		s.cancel()
		s.finish(err)
		return err
	}
	select {
	case s.requests <- b:
		return nil
	case <-s.ended:
	case <-s.server.Done():
	}
	return io.EOF
}

func (s *clientStream) RecvMsg(m any) error {
	b, err := s.receive()
	if err == nil {
		err = unmarshal(b, m, s.options.maxAnswer)
	}
	if err == nil && !s.desc.ServerStreams {
		// The only answer is followed by the status.
		if _, err = s.receive(); err == nil {
			err = status.Error(codes.Internal, "more than one answer")
		} else if err == io.EOF { //nolint:errorlint // receive does not wrap it
			s.finish(nil)
			return nil
		}
	}
	if err == io.EOF { //nolint:errorlint // receive does not wrap it
		s.finish(nil)
	} else if err != nil {
		s.cancel()
		s.finish(err)
	}
	return err
}

// receive returns the next answer, or what the call ended with: io.EOF if all
// went well.
func (s *clientStream) receive() ([]byte, error) {
	select {
	case b := <-s.answers:
		return b, nil
	case <-s.client.Done():
		return nil, s.abandon()
	case <-s.srv.life.Done():
		return nil, s.received(context.Canceled)
	case <-s.ended:
	}
	select {
	case b := <-s.answers: // sent before the end
		return b, nil
	default:
	}
	if err := s.received(s.err); err != nil {
		return nil, err
	}
	return nil, io.EOF
}
