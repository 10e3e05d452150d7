package eventsig_test

import (
	"bytes"
	"encoding/base64"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"gatehouse.dev/libs/bus"
	"gatehouse.dev/libs/eventsig"
)

func signer(t testing.TB, n byte) eventsig.Signer {
	t.Helper()
	s, err := eventsig.NewSigner(bytes.Repeat([]byte{n}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func message() *nats.Msg {
	m := nats.NewMsg("access.org.approval.granted")
	m.Data = []byte("data")
	for i, name := range []string{bus.HeaderID, bus.HeaderType, bus.HeaderSource, bus.HeaderSubject, bus.HeaderTime} {
		m.Header.Set(name, strings.Repeat("x", i+1))
	}
	m.Header.Set("traceparent", "trace")
	return m
}

// Nothing that an event says can be changed, and nobody but its service can say
// it.
func TestVerify(t *testing.T) {
	t.Parallel()
	approval, old := signer(t, 1), signer(t, 2)
	keys := eventsig.Keys{
		"approval": {approval.PublicKey(), old.PublicKey()},
		"request":  {signer(t, 3).PublicKey()},
	}
	for name, tt := range map[string]struct {
		by     eventsig.Signer
		sayer  string
		change func(*nats.Msg)
		good   bool
	}{
		"as it was said":     {by: approval, good: true},
		"by an older key":    {by: old, good: true},
		"another trace":      {by: approval, good: true, change: func(m *nats.Msg) { m.Header.Set("traceparent", "other") }},
		"not signed":         {},
		"by another service": {by: signer(t, 3)},
		"for another":        {by: approval, sayer: "request"},
		"by nobody known":    {by: approval, sayer: "audit"},
		"other subject":      {by: approval, change: func(m *nats.Msg) { m.Subject = "access.other.approval.granted" }},
		"other data":         {by: approval, change: func(m *nats.Msg) { m.Data = []byte("date") }},
		"more data":          {by: approval, change: func(m *nats.Msg) { m.Data = append(m.Data, 0) }},
		"moved bytes": {by: approval, change: func(m *nats.Msg) {
			m.Header.Set(bus.HeaderID, "xx")
			m.Header.Set(bus.HeaderType, "x")
		}},
		"a second id":         {by: approval, change: func(m *nats.Msg) { m.Header.Add(bus.HeaderID, "y") }},
		"without time":        {by: approval, change: func(m *nats.Msg) { m.Header.Del(bus.HeaderTime) }},
		"other id":            {by: approval, change: func(m *nats.Msg) { m.Header.Set(bus.HeaderID, "y") }},
		"other source":        {by: approval, change: func(m *nats.Msg) { m.Header.Set(bus.HeaderSource, "y") }},
		"other aggregate":     {by: approval, change: func(m *nats.Msg) { m.Header.Set(bus.HeaderSubject, "y") }},
		"other scheme":        {by: approval, change: func(m *nats.Msg) { m.Header.Set(eventsig.Header, "none=") }},
		"signature not text":  {by: approval, change: func(m *nats.Msg) { m.Header.Set(eventsig.Header, "ed25519=%") }},
		"signature too short": {by: approval, change: func(m *nats.Msg) { m.Header.Set(eventsig.Header, "ed25519=AAAA") }},
	} {
		m := message()
		tt.by.Sign(m)
		if tt.change != nil {
			tt.change(m)
		}
		sayer := tt.sayer
		if sayer == "" {
			sayer = "approval"
		}
		if err := keys.Verify(sayer, m.Subject, m.Header, m.Data); (err == nil) != tt.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Events that are signed together are verified each by itself, in any order and
// without the others; one that was not among them is not taken in.
func TestSignedTogether(t *testing.T) {
	t.Parallel()
	s := signer(t, 4)
	keys := eventsig.Keys{"approval": {s.PublicKey()}}
	var all []*nats.Msg
	for i := range 40 {
		m := message()
		m.Header.Set(bus.HeaderID, strings.Repeat("i", i+1))
		all = append(all, m)
	}
	s.Sign(all...)
	for round := range 2 { // and again, when signatures are known
		for i, m := range all {
			if err := keys.Verify("approval", m.Subject, m.Header, m.Data); err != nil {
				t.Errorf("round %d, event %d: %v", round, i, err)
			}
			if size := len(m.Header.Get(eventsig.SetHeader)); size > 700 {
				t.Errorf("it carries %d bytes of others", size)
			}
		}
	}
	stranger := message()
	for name, change := range map[string]func(h nats.Header){
		"as it is":               func(nats.Header) {},
		"without the others":     func(h nats.Header) { h.Del(eventsig.SetHeader) },
		"with more behind":       func(h nats.Header) { h.Set(eventsig.SetHeader, h.Get(eventsig.SetHeader)+"AAAA") },
		"with nonsense":          func(h nats.Header) { h.Set(eventsig.SetHeader, "%") },
		"with itself among them": func(h nats.Header) { h.Set(eventsig.SetHeader, own(stranger)) },
	} {
		stranger.Header = message().Header
		stranger.Header[eventsig.Header] = all[0].Header[eventsig.Header]
		stranger.Header[eventsig.SetHeader] = all[0].Header[eventsig.SetHeader]
		change(stranger.Header)
		if err := keys.Verify("approval", stranger.Subject, stranger.Header, stranger.Data); err == nil {
			t.Errorf("%s: one that was not signed is taken for signed", name)
		}
	}
	if err := (eventsig.Keys{"approval": {signer(t, 5).PublicKey()}}).Verify("approval", all[0].Subject, all[0].Header, all[0].Data); err == nil {
		t.Error("what one key has signed is taken for another's")
	}
}

// own is the digest of a message, as a set of it and another says it.
func own(m *nats.Msg) string {
	pair := []*nats.Msg{{Subject: m.Subject, Header: message().Header, Data: m.Data}, message()}
	key, err := eventsig.NewSigner(make([]byte, 32))
	if err != nil {
		panic(err)
	}
	key.Sign(pair...)
	return pair[0].Header.Get(eventsig.SetHeader)
}

func TestParse(t *testing.T) {
	t.Parallel()
	a, b := signer(t, 1), signer(t, 2)
	keys := eventsig.Keys{"a": {a.PublicKey(), b.PublicKey()}, "b": {b.PublicKey()}}
	got, err := eventsig.ParseKeys(keys.String("a", "b"))
	if err != nil || len(got) != 2 || len(got["a"]) != 2 || !got["b"][0].Equal(b.PublicKey()) {
		t.Errorf("%v %v", got, err)
	}
	for _, bad := range []string{"", "a", "a=", "=AAAA", "a=AAAA", "a=%", keys.String("a") + ","} {
		if got, err := eventsig.ParseKeys(bad); err == nil {
			t.Errorf("%q gives %v", bad, got)
		}
	}
	same, err := eventsig.ParseSigner(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{1}, 32)))
	if err != nil || !same.PublicKey().Equal(a.PublicKey()) {
		t.Errorf("another key, %v", err)
	}
	for _, bad := range []string{"", "%", "AAAA"} {
		if _, err := eventsig.ParseSigner(bad); err == nil {
			t.Errorf("%q is a key", bad)
		}
	}
	if !(eventsig.Signer{}).IsZero() || a.IsZero() {
		t.Error("IsZero does not tell")
	}
}

func BenchmarkSign(b *testing.B) {
	s, m := signer(b, 1), message()
	m.Data = make([]byte, 600)
	for b.Loop() {
		s.Sign(m)
	}
}

func BenchmarkVerify(b *testing.B) {
	s, m := signer(b, 1), message()
	m.Data = make([]byte, 600)
	keys := eventsig.Keys{"approval": {s.PublicKey()}}
	for n := 0; b.Loop(); n++ {
		b.StopTimer() // a new signature, which nobody remembers
		m.Header.Set(bus.HeaderID, strconv.Itoa(n))
		s.Sign(m)
		b.StartTimer()
		if err := keys.Verify("approval", m.Subject, m.Header, m.Data); err != nil {
			b.Fatal(err)
		}
	}
}
