package wire

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// decodeBody reads the body of a request.
func decodeBody(h Header, body []byte) (kmsg.Request, error) {
	req := kmsg.RequestForKey(h.Key)
	if req == nil {
		return nil, fmt.Errorf("unknown API key %d", h.Key)
	}
	if h.Version < 0 || h.Version > req.MaxVersion() {
		return nil, fmt.Errorf("%s has no version %d", keyName(h.Key), h.Version)
	}
	req.SetVersion(h.Version)
	if err := readFrom(req, body); err != nil {
		return nil, fmt.Errorf("%s v%d: %w", keyName(h.Key), h.Version, err)
	}
	return req, nil
}

type message interface {
	Key() int16
	GetVersion() int16
	IsFlexible() bool
	AppendTo([]byte) []byte
	ReadFrom([]byte) error
}

// readFrom decodes body into m.
func readFrom(m message, body []byte) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("malformed: %v", r)
		}
	}()
	if err := layoutOf(m).check(body); err != nil {
		return err
	}
	return m.ReadFrom(body)
}
