package simulation

import (
	"encoding/binary"
	"sync"
	"time"
)

// A tap listens to one connection of a member's and tells what it asks of its group, and
// what it is answered: kgo does not say which heartbeat was heard.
type tap struct {
	asked    func(key int16)
	answered func(key, code int16, sent time.Time)

	mu    sync.Mutex // a leaf
	asks  map[int32]question
	bytes []byte // of the answer that is coming in
}

type question struct {
	key, version int16
	sent         time.Time
}

// The APIs by which a group hears a member.
const (
	offsetCommitKey int16 = 8
	offsetFetchKey  int16 = 9
	joinKey         int16 = 11
	heartbeatKey    int16 = 12
	syncKey         int16 = 14
)

// flexible is the version from which on the answer's header has tags, for answers that begin
// with the throttle time and an error.
var flexible = map[int16]int16{joinKey: 6, heartbeatKey: 4, syncKey: 4}

// wrote takes one whole request: this client writes each at once.
func (t *tap) wrote(frame []byte) {
	if len(frame) < 12 {
		return
	}
	q := question{int16(binary.BigEndian.Uint16(frame[4:])), int16(binary.BigEndian.Uint16(frame[6:])), time.Now()}
	t.mu.Lock()
	if t.asks == nil {
		t.asks = map[int32]question{}
	}
	t.asks[int32(binary.BigEndian.Uint32(frame[8:]))] = q
	t.mu.Unlock()
	t.asked(q.key)
}

// read takes a piece of what came in.
func (t *tap) read(piece []byte) {
	t.mu.Lock()
	t.bytes = append(t.bytes, piece...)
	for len(t.bytes) >= 8 {
		size := 4 + int(binary.BigEndian.Uint32(t.bytes))
		if len(t.bytes) < size {
			break
		}
		frame := t.bytes[:size]
		t.bytes = t.bytes[size:]
		id := int32(binary.BigEndian.Uint32(frame[4:]))
		q := t.asks[id]
		delete(t.asks, id)
		if from, ok := flexible[q.key]; ok {
			body := frame[8:]
			if q.version >= from {
				body = body[1:]
			}
			t.mu.Unlock()
			t.answered(q.key, int16(binary.BigEndian.Uint16(body[4:])), q.sent)
			t.mu.Lock()
		}
	}
	if len(t.bytes) == 0 {
		t.bytes = nil
	}
	t.mu.Unlock()
}
