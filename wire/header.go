package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// apiVersions is the key whose response header never has tags, so that a
// client and a broker that know nothing of each other can begin.
const apiVersions = 18

var errCutOff = errors.New("message ends early")

// A Header is what stands before the body of a request.
type Header struct {
	Key, Version  int16
	CorrelationID int32
	ClientID      *string // nil: not given
}

// ParseHeader reads the header of a request frame and returns the body after
// it. Header version 2, with tags, begins with a key's first flexible version;
// a key that is not known has a header of version 1. ok is false if even the
// fixed fields are missing; otherwise they are set whatever the error.
func ParseHeader(frame []byte) (h Header, body []byte, ok bool, err error) {
	if len(frame) < 8 {
		return h, nil, false, errCutOff
	}
	h.Key = int16(binary.BigEndian.Uint16(frame))
	h.Version = int16(binary.BigEndian.Uint16(frame[2:]))
	h.CorrelationID = int32(binary.BigEndian.Uint32(frame[4:]))
	body = frame[8:]
	if len(body) < 2 {
		return h, nil, true, errCutOff
	}
	n := int(int16(binary.BigEndian.Uint16(body)))
	body = body[2:]
	if n >= 0 {
		if len(body) < n {
			return h, nil, true, errCutOff
		}
		id := string(body[:n])
		h.ClientID, body = &id, body[n:]
	}
	if req := kmsg.RequestForKey(h.Key); req != nil {
		req.SetVersion(h.Version)
		if req.IsFlexible() {
			body, err = skipTags(body)
		}
	}
	return h, body, true, err
}

// skipTags passes a section of tagged fields.
func skipTags(b []byte) ([]byte, error) {
	count, b, err := uvarint(b)
	for ; err == nil && count > 0; count-- {
		var size uint32
		if _, b, err = uvarint(b); err == nil {
			size, b, err = uvarint(b)
		}
		if err == nil && uint32(len(b)) < size {
			err = errCutOff
		}
		if err == nil {
			b = b[size:]
		}
	}
	return b, err
}

// uvarint reads an unsigned varint of at most 32 bits.
func uvarint(b []byte) (uint32, []byte, error) {
	v, n := binary.Uvarint(b)
	switch {
	case n == 0:
		return 0, nil, errCutOff
	case n < 0 || n > 5 || v > 1<<32-1:
		return 0, nil, errors.New("varint too long")
	}
	return uint32(v), b[n:], nil
}

// AppendRequest appends a whole frame with its length: header and req in the
// version that is set on it. Of h it takes the correlation id and client id.
func AppendRequest(dst []byte, h Header, req kmsg.Request) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(req.Key()))
	dst = binary.BigEndian.AppendUint16(dst, uint16(req.GetVersion()))
	dst = binary.BigEndian.AppendUint32(dst, uint32(h.CorrelationID))
	if h.ClientID == nil {
		dst = append(dst, 0xff, 0xff)
	} else {
		dst = binary.BigEndian.AppendUint16(dst, uint16(len(*h.ClientID)))
		dst = append(dst, *h.ClientID...)
	}
	if req.IsFlexible() {
		dst = append(dst, 0)
	}
	return seal(req.AppendTo(dst), start)
}

// AppendResponse appends a whole frame with its length: header and resp in the
// version that is set on it.
func AppendResponse(dst []byte, correlationID int32, resp kmsg.Response) []byte {
	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, uint32(correlationID))
	if resp.IsFlexible() && resp.Key() != apiVersions {
		dst = append(dst, 0)
	}
	return seal(resp.AppendTo(dst), start)
}

// seal writes the length of the frame that begins at start.
func seal(dst []byte, start int) []byte {
	binary.BigEndian.PutUint32(dst[start:], uint32(len(dst)-start-4))
	return dst
}

// DecodeRequest reads a request frame. The body's byte fields share its
// memory. Hostile bytes are an error, never a panic, a hang or more memory
// than a bounded multiple of the frame.
func DecodeRequest(frame []byte) (Header, kmsg.Request, error) {
	h, body, _, err := ParseHeader(frame)
	if err != nil {
		return h, nil, fmt.Errorf("header of %s: %w", keyName(h.Key), err)
	}
	req, err := decodeBody(h, body)
	return h, req, err
}

// DecodeResponse reads a response frame into resp, whose version is set, and
// returns its correlation id. Byte fields share the frame's memory.
func DecodeResponse(frame []byte, resp kmsg.Response) (int32, error) {
	if len(frame) < 4 {
		return 0, errCutOff
	}
	id, body := int32(binary.BigEndian.Uint32(frame)), frame[4:]
	if resp.IsFlexible() && resp.Key() != apiVersions {
		var err error
		if body, err = skipTags(body); err != nil {
			return id, fmt.Errorf("header of %s response: %w", keyName(resp.Key()), err)
		}
	}
	if err := readFrom(resp, body); err != nil {
		return id, fmt.Errorf("%s response v%d: %w", keyName(resp.Key()), resp.GetVersion(), err)
	}
	return id, nil
}

// keyName names an API key for people.
func keyName(key int16) string {
	if name := kmsg.NameForKey(key); name != "" && name != "Unknown" {
		return name
	}
	return fmt.Sprintf("API key %d", key)
}
