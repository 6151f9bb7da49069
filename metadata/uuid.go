package metadata

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
)

// A UUID names a topic, a broker's process or a cluster. Its text is Kafka's: 22
// characters of URL-safe base64.
type UUID [16]byte

// NewUUID draws a random (version 4) UUID from rng whose text does not start
// with '-', which command lines would take for a flag.
func NewUUID(rng *rand.Rand) UUID {
	for {
		var u UUID
		for i := 0; i < len(u); i += 8 {
			for j, v := 0, rng.Uint64(); j < 8; j, v = j+1, v>>8 {
				u[i+j] = byte(v)
			}
		}
		u[6] = u[6]&0x0f | 0x40
		u[8] = u[8]&0x3f | 0x80
		if u.String()[0] != '-' {
			return u
		}
	}
}

// ParseUUID reads the text that String writes.
func ParseUUID(s string) (UUID, error) {
	var u UUID
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != len(u) {
		return u, fmt.Errorf("%q is no UUID of 22 base64 characters", s)
	}
	copy(u[:], b)
	return u, nil
}

func (u UUID) String() string { return base64.RawURLEncoding.EncodeToString(u[:]) }

// IsZero reports whether u is unset. Kafka reserves the zero UUID.
func (u UUID) IsZero() bool { return u == UUID{} }
