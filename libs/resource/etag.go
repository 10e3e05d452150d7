package resource

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"google.golang.org/grpc/codes"

	"gatehouse.dev/libs/apierr"
)

// ETag is the etag of a version of something. It is the same wherever it is made,
// and another for every id and version. Nobody reads anything out of it; that it
// can be made by whoever knows both does no harm, as it gives no right.
func ETag(id string, version int64) string {
	h := sha256.New()
	h.Write([]byte("gatehouse etag\x00" + id + "\x00"))
	h.Write(binary.BigEndian.AppendUint64(nil, uint64(version))) //nolint:gosec // all bits count
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil)[:12])
}

// CheckETag refuses what was meant for another version than the current one:
// ABORTED, ETAG_MISMATCH. An empty one is for any.
func CheckETag(sent, current string) error {
	if sent == "" || sent == current {
		return nil
	}
	return apierr.New(codes.Aborted, "ETAG_MISMATCH", "it was changed since it was read: read it again")
}
