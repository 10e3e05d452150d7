package postgres

import (
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
)

// Without help the driver sends a uuid.UUID by way of its text and reads it by
// way of sql.Scanner, at some forty times the cost. Most parameters here are
// ids.

// teachUUID has a connection send and read ids as the 16 bytes that they are.
func teachUUID(m *pgtype.Map) {
	one := &pgtype.Type{Name: "uuid", OID: pgtype.UUIDOID, Codec: uuidCodec{}}
	m.RegisterType(one)
	m.RegisterType(&pgtype.Type{Name: "_uuid", OID: pgtype.UUIDArrayOID, Codec: &pgtype.ArrayCodec{ElementType: one}})
}

// uuidCodec is the driver's codec with a short way for uuid.UUID and
// uuid.NullUUID.
type uuidCodec struct{ pgtype.UUIDCodec }

// PlanEncode implements pgtype.Codec.
func (c uuidCodec) PlanEncode(m *pgtype.Map, oid uint32, format int16, value any) pgtype.EncodePlan {
	if format == pgtype.BinaryFormatCode {
		switch value.(type) {
		case uuid.UUID:
			return encodeUUID{}
		case uuid.NullUUID:
			return encodeNullUUID{}
		}
	}
	return c.UUIDCodec.PlanEncode(m, oid, format, value)
}

// PlanScan implements pgtype.Codec.
func (c uuidCodec) PlanScan(m *pgtype.Map, oid uint32, format int16, target any) pgtype.ScanPlan {
	if format == pgtype.BinaryFormatCode {
		switch target.(type) {
		case *uuid.UUID:
			return scanUUID{}
		case *uuid.NullUUID:
			return scanNullUUID{}
		}
	}
	return c.UUIDCodec.PlanScan(m, oid, format, target)
}

type encodeUUID struct{}

func (encodeUUID) Encode(value any, buf []byte) ([]byte, error) {
	v := value.(uuid.UUID)
	return append(buf, v[:]...), nil
}

type encodeNullUUID struct{}

func (encodeNullUUID) Encode(value any, buf []byte) ([]byte, error) {
	v := value.(uuid.NullUUID)
	if !v.Valid {
		return nil, nil
	}
	return append(buf, v.UUID[:]...), nil
}

type scanUUID struct{}

// Scan leaves the target as it is for null, as uuid.UUID's own Scan does.
func (scanUUID) Scan(src []byte, target any) error {
	if src == nil {
		return nil
	}
	return copyUUID(target.(*uuid.UUID), src)
}

type scanNullUUID struct{}

func (scanNullUUID) Scan(src []byte, target any) error {
	t := target.(*uuid.NullUUID)
	if t.Valid = src != nil; !t.Valid {
		t.UUID = uuid.Nil
		return nil
	}
	return copyUUID(&t.UUID, src)
}

func copyUUID(into *uuid.UUID, src []byte) error {
	if len(src) != len(into) {
		return fmt.Errorf("read uuid: %d bytes", len(src))
	}
	copy(into[:], src)
	return nil
}
