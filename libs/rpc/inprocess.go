package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/stats"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"gatehouse.dev/libs/authz"
)

// Network lets services that share a process call each other by address, as
// ever, but without sockets. A server made with it is called through it by the
// connections made with it, for as long as it serves; the connections use a
// socket before and after, and for addresses that nobody serves here. So a
// service that is not up is found so by its closed socket, and the sockets stay
// open to programs outside.
//
// A call keeps what it has between processes: both sides' interceptors and
// telemetry; messages that neither side shares with the other, within the limit
// of their size; of the caller's context the deadline, the end and the
// metadata, and nothing else; statuses for errors; repetition; and a handler
// that runs on when the caller has gone. There is no TLS, the peer is named
// "in-process", and streams are not repeated.
//
// The zero value is ready for use.
type Network struct {
	mu      sync.RWMutex
	servers map[string]*Server
}

// add makes srv known under addr until remove is called.
func (n *Network) add(addr string, srv *Server) (remove func()) {
	if n == nil {
		return func() {}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.servers == nil {
		n.servers = make(map[string]*Server)
	}
	n.servers[addr] = srv
	return func() {
		n.mu.Lock()
		defer n.mu.Unlock()
		if n.servers[addr] == srv {
			delete(n.servers, addr)
		}
	}
}

// at returns the server of addr; nil if there is none.
func (n *Network) at(addr string) *Server {
	if n == nil {
		return nil
	}
	n.mu.RLock()
	defer n.mu.RUnlock()
	return n.servers[addr]
}

// callOptions are the options of a call that mean something without a socket.
type callOptions struct {
	maxAnswer int
	header    []*metadata.MD
	trailer   []*metadata.MD
	peer      []*peer.Peer
}

// inProcess reports whether a call goes without a socket: its service is in the
// network, and its options need none.
func (c *Conn) inProcess(opts []grpc.CallOption) (o callOptions, ok bool) {
	if c.closed.Load() || c.network.at(c.addr) == nil {
		return o, false
	}
	o.maxAnswer = c.maxMessage
	for _, opt := range opts {
		switch opt := opt.(type) {
		case grpc.HeaderCallOption:
			o.header = append(o.header, opt.HeaderAddr)
		case grpc.TrailerCallOption:
			o.trailer = append(o.trailer, opt.TrailerAddr)
		case grpc.PeerCallOption:
			o.peer = append(o.peer, opt.PeerAddr)
		case grpc.MaxRecvMsgSizeCallOption:
			o.maxAnswer = opt.MaxRecvMsgSize
		case grpc.StaticMethodCallOption:
		default:
			return o, false
		}
	}
	return o, true
}

// inProcessAddr is the address of a peer: the server's own, or "in-process".
type inProcessAddr string

func (inProcessAddr) Network() string  { return authz.InProcess }
func (a inProcessAddr) String() string { return string(a) }

// call is one attempt of a call within the process. To its handler it is the
// transport.
type call struct {
	srv     *Server
	name    string
	options callOptions
	addr    inProcessAddr
	stats   stats.Handler // the client's
	began   time.Time
	desc    *grpc.StreamDesc // nil for a unary call

	client context.Context
	server context.Context // with nothing of the client's but deadline and metadata
	cancel context.CancelFunc

	mu         sync.Mutex
	header     metadata.MD
	trailer    metadata.MD
	headerSent bool
	sent       chan struct{} // closed with headerSent
}

// begin opens a call. If it succeeds, the server waits for its calls.Done.
func (c *Conn) begin(ctx context.Context, name string, desc *grpc.StreamDesc, o callOptions) (*call, error) {
	cl := &call{name: name, options: o, addr: inProcessAddr(c.addr), stats: c.stats, began: time.Now(), desc: desc, sent: make(chan struct{})}
	begin := stats.Begin{BeginTime: cl.began, FailFast: true}
	if desc != nil {
		begin.IsClientStream, begin.IsServerStream = desc.ClientStreams, desc.ServerStreams
	}
	tag := &stats.RPCTagInfo{FullMethodName: name, FailFast: true}
	cl.client = c.stats.TagRPC(ctx, tag)
	clientBegin := begin
	clientBegin.Client = true
	c.stats.HandleRPC(cl.client, &clientBegin)

	md, err := outgoing(cl.client)
	if err == nil && ctx.Err() != nil {
		err = status.FromContextError(ctx.Err()).Err()
	}
	if err == nil {
		if cl.srv = c.network.at(c.addr); cl.srv == nil || !cl.srv.enter() {
			err = status.Error(codes.Unavailable, "nobody serves "+c.addr)
		}
	}
	if err != nil {
		cl.end(err)
		return nil, err
	}
	c.stats.HandleRPC(cl.client, &stats.OutHeader{Client: true, FullMethod: name, Header: md, RemoteAddr: cl.addr})

	caller := inProcessAddr("in-process")
	cl.server = metadata.NewIncomingContext(cl.srv.life, md)
	cl.server = peer.NewContext(cl.server, &peer.Peer{Addr: caller, LocalAddr: cl.addr})
	cl.server = grpc.NewContextWithServerTransportStream(cl.server, cl)
	if d, ok := ctx.Deadline(); ok {
		cl.server, cl.cancel = context.WithDeadline(cl.server, d)
	} else {
		cl.server, cl.cancel = context.WithCancel(cl.server)
	}
	cl.server = cl.srv.stats.TagRPC(cl.server, tag)
	cl.srv.stats.HandleRPC(cl.server, &stats.InHeader{FullMethod: name, Header: md, RemoteAddr: caller, LocalAddr: cl.addr})
	cl.srv.stats.HandleRPC(cl.server, &begin)
	return cl, nil
}

// served ends the server's side of a call and returns the error to send.
func (cl *call) served(err error) error {
	defer cl.srv.calls.Done()
	err = sendable(err)
	cl.srv.stats.HandleRPC(cl.server, &stats.End{BeginTime: cl.began, EndTime: time.Now(), Error: err})
	cl.cancel()
	return err
}

// abandon tells the handler that the caller's context has ended, and returns
// the caller's error. When the time is up the handler knows by itself.
func (cl *call) abandon() error {
	err := cl.client.Err()
	if errors.Is(err, context.Canceled) {
		cl.cancel()
	}
	return status.FromContextError(err).Err()
}

// received is the error that the caller gets if the server sent err.
func (cl *call) received(err error) error {
	if err != nil && cl.srv.life.Err() != nil {
		return status.Error(codes.Unavailable, "the server at "+cl.addr.String()+" has stopped")
	}
	return err
}

// end ends the client's side of a call.
func (cl *call) end(err error) {
	cl.mu.Lock()
	for _, md := range cl.options.header {
		*md = cl.header.Copy()
	}
	for _, md := range cl.options.trailer {
		*md = cl.trailer.Copy()
	}
	cl.mu.Unlock()
	for _, p := range cl.options.peer {
		*p = peer.Peer{Addr: cl.addr, LocalAddr: inProcessAddr("in-process")}
	}
	cl.stats.HandleRPC(cl.client, &stats.End{Client: true, BeginTime: cl.began, EndTime: time.Now(), Error: err})
}

// invoke makes a unary call once, and tells whether its failure may be repeated:
// not if the server has begun to answer.
func (c *Conn) invoke(ctx context.Context, name string, req, reply any, o callOptions) (repeat bool, err error) {
	cl, err := c.begin(ctx, name, nil, o)
	if err != nil {
		return true, err
	}
	type answer struct {
		message any
		err     error
	}
	answered := make(chan answer, 1)
	handle := cl.unary(req) // takes its copy of the request while the caller waits
	go func() {
		m, err := handle()
		answered <- answer{m, cl.served(err)}
	}()
	select {
	case a := <-answered:
		if err = cl.received(a.err); err == nil {
			err = copyMessage(reply, a.message, o.maxAnswer)
		}
	case <-ctx.Done():
		err = cl.abandon()
	case <-cl.srv.life.Done():
		err = cl.received(context.Canceled)
	}
	cl.end(err)
	cl.mu.Lock()
	defer cl.mu.Unlock()
	return !cl.headerSent, err
}

// unary copies the request and returns the call of the handler, with the
// server's interceptors.
func (cl *call) unary(req any) func() (any, error) {
	m := cl.srv.methods[cl.name]
	if m.unary == nil {
		return func() (any, error) { return nil, unknownMethod(cl.name) }
	}
	var (
		in      any
		handler grpc.UnaryHandler
	)
	decode := func(to any) error { return copyMessage(to, req, cl.srv.maxMessage) }
	// Generated code decodes and then calls the interceptor it is given. This
	// one only takes note of what it would have to do.
	_, err := m.unary.Handler(m.impl, cl.server, decode, func(_ context.Context, req any, _ *grpc.UnaryServerInfo, h grpc.UnaryHandler) (any, error) {
		in, handler = req, h
		return nil, nil
	})
	if err != nil {
		return func() (any, error) { return nil, err }
	}
	info := &grpc.UnaryServerInfo{Server: m.impl, FullMethod: cl.name}
	return func() (any, error) { return cl.srv.unary(cl.server, in, info, handler) }
}

func unknownMethod(name string) error {
	return status.Error(codes.Unimplemented, "unknown method "+name)
}

// Method, SetHeader, SendHeader and SetTrailer are for the functions of package
// grpc that handlers use.
func (cl *call) Method() string { return cl.name }

func (cl *call) SetHeader(md metadata.MD) error { return cl.setHeader(md, false) }

func (cl *call) SendHeader(md metadata.MD) error { return cl.setHeader(md, true) }

func (cl *call) setHeader(md metadata.MD, send bool) error {
	if err := checkMetadata(md); err != nil {
		return err
	}
	cl.mu.Lock()
	defer cl.mu.Unlock()
	if cl.headerSent {
		return status.Error(codes.Internal, "the header is sent already")
	}
	cl.header = metadata.Join(cl.header, md)
	if send {
		cl.headerSent = true
		close(cl.sent)
	}
	return nil
}

func (cl *call) SetTrailer(md metadata.MD) error {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.trailer = metadata.Join(cl.trailer, md)
	return nil
}

// sendable is what of a handler's error can be sent: a status.
func sendable(err error) error {
	if err == nil {
		return nil
	}
	st, ok := status.FromError(err)
	if !ok {
		st = status.FromContextError(err)
	}
	return st.Err()
}

// outgoing returns a copy of the metadata that a caller sends.
func outgoing(ctx context.Context) (metadata.MD, error) {
	md, ok := metadata.FromOutgoingContext(ctx)
	if !ok {
		return metadata.MD{}, nil
	}
	for k := range md {
		// The transport's own are not the caller's to set.
		if k == "content-type" || k == "user-agent" || k == "te" || strings.HasPrefix(k, ":") || strings.HasPrefix(k, "grpc-") {
			delete(md, k)
		}
	}
	return md, checkMetadata(md)
}

// checkMetadata refuses what HTTP headers cannot carry.
func checkMetadata(md metadata.MD) error {
	for k, values := range md {
		if k == "" || strings.ContainsFunc(k, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < '0' || r > '9') && !strings.ContainsRune("-_.", r)
		}) {
			return status.Errorf(codes.Internal, "header key %q is none", k)
		}
		for _, v := range values {
			if !strings.HasSuffix(k, "-bin") && strings.ContainsFunc(v, func(r rune) bool { return r < ' ' || r > '~' }) {
				return status.Errorf(codes.Internal, "header %q is not printable", k)
			}
		}
	}
	return nil
}

// copyMessage makes to, of the same type, what a receiver that takes most bytes
// would read from's wire form as. Copying takes less time than writing and
// reading that form.
func copyMessage(to, from any, most int) error {
	src, ok := from.(proto.Message)
	dst, ok2 := to.(proto.Message)
	if !ok || !ok2 {
		return status.Errorf(codes.Internal, "%T or %T is not a message", from, to)
	}
	if size := proto.Size(src); size > most {
		return tooLarge(size, most)
	}
	if !validText(src.ProtoReflect()) {
		return status.Error(codes.Internal, "a text of the message is not valid UTF-8")
	}
	proto.Reset(dst)
	proto.Merge(dst, src)
	return nil
}

func tooLarge(size, most int) error {
	return status.Error(codes.ResourceExhausted, fmt.Sprintf("message larger than max (%d vs. %d bytes)", size, most))
}

// validText reports whether a message's strings are what they must be to be sent.
func validText(m protoreflect.Message) (ok bool) {
	ok = true
	valid := func(kind protoreflect.Kind, v protoreflect.Value) bool {
		switch kind {
		case protoreflect.StringKind:
			return utf8.ValidString(v.String())
		case protoreflect.MessageKind, protoreflect.GroupKind:
			return validText(v.Message())
		}
		return true
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsList():
			for i := 0; ok && i < v.List().Len(); i++ {
				ok = valid(f.Kind(), v.List().Get(i))
			}
		case f.IsMap():
			v.Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				ok = valid(f.MapKey().Kind(), k.Value()) && valid(f.MapValue().Kind(), v)
				return ok
			})
		default:
			ok = valid(f.Kind(), v)
		}
		return ok
	})
	return ok
}
