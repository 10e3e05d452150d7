package eventsig_test

import (
	"bytes"
	"encoding/base64"
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
	s.Sign(m)
	keys := eventsig.Keys{"approval": {s.PublicKey()}}
	for b.Loop() {
		if err := keys.Verify("approval", m.Subject, m.Header, m.Data); err != nil {
			b.Fatal(err)
		}
	}
}
