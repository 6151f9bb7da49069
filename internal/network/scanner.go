package network

import "encoding/binary"

const (
	// headBytes of a message are remembered while it passes: enough for its
	// header and the acks of a produce request.
	headBytes = 192
	// maxFrame bounds a message. A stream with a longer one is not understood
	// any more: its bytes pass, its messages are not looked at.
	maxFrame = 128 << 20
)

// A scanner follows the Kafka messages in one direction of a connection. Bytes
// pass it untouched, unless an interceptor is in force when a message begins:
// then that message is gathered and judged whole. Only who writes uses it.
type scanner struct {
	exchange *exchange
	response bool

	opaque bool // the stream is not Kafka's
	head   [headBytes]byte
	have   int // bytes of head that are known of the current message
	left   int // bytes of the current message that are to come, once its length is known
	noted  bool

	gathering bool
	gathered  []byte
	due       []answer // made-up answers that a response has made due
}

// between reports whether no message is half written.
func (s *scanner) between() bool { return !s.opaque && s.have == 0 && len(s.gathered) == 0 }

// intercepting reports whether messages must be gathered.
func (s *scanner) intercepting(l *link) bool {
	switch {
	case s.opaque:
		return false
	case s.gathering:
		return true
	case s.response:
		return s.exchange.armed()
	}
	return len(l.hooks()) > 0
}

// observe follows bytes that pass.
func (s *scanner) observe(b []byte) {
	for len(b) > 0 && !s.opaque {
		b = b[s.step(b):]
	}
}

// step follows b at most to the end of the current message, or of its length
// field, and returns how far it went.
func (s *scanner) step(b []byte) int {
	if s.have < 4 {
		n := copy(s.head[s.have:4], b)
		if s.have += n; s.have == 4 {
			s.left = s.length(s.head[:4])
			s.ended()
		}
		return n
	}
	n := min(len(b), s.left)
	s.have += copy(s.head[s.have:], b[:n])
	s.left -= n
	if !s.noted && (s.left == 0 || s.have == headBytes) {
		s.noted = true
		s.note(s.head[4:s.have])
	}
	s.ended()
	return n
}

func (s *scanner) ended() {
	if s.left == 0 {
		s.have, s.noted = 0, false
	}
}

// length reads a length field; what cannot be one makes the stream opaque.
func (s *scanner) length(b []byte) int {
	n := int32(binary.BigEndian.Uint32(b))
	if n < 0 || n > maxFrame {
		s.opaque = true
		return 0
	}
	return int(n)
}

// note remembers a message that passes.
func (s *scanner) note(frame []byte) {
	m, ok := s.parse(frame)
	switch {
	case !ok:
	case s.response:
		_, before, after := s.exchange.answered(m.CorrelationID)
		s.due = append(append(s.due, before...), after...)
	case !unanswered(m):
		s.exchange.asked(call{id: m.CorrelationID})
	}
}

// parse reads the fixed fields of a message.
func (s *scanner) parse(frame []byte) (Message, bool) {
	m := Message{Response: s.response, Frame: frame}
	if s.response {
		if len(frame) < 4 {
			return m, false
		}
		m.CorrelationID = int32(binary.BigEndian.Uint32(frame))
		return m, true
	}
	if len(frame) < 8 {
		return m, false
	}
	m.Key = int16(binary.BigEndian.Uint16(frame))
	m.Version = int16(binary.BigEndian.Uint16(frame[2:]))
	m.CorrelationID = int32(binary.BigEndian.Uint32(frame[4:]))
	return m, true
}

// next takes one piece off b, while interceptors are in force: a whole message
// with its verdict, or bytes that pass as they are. What is returned is valid
// until the next call.
func (s *scanner) next(b []byte, l *link) (piece []byte, v Verdict, rest []byte) {
	if s.opaque {
		return b, v, nil
	}
	if !s.gathering && s.have > 0 { // a message that began before the interceptor
		n := s.step(b)
		return b[:n], v, b[n:]
	}
	s.gathering = true
	for len(b) > 0 {
		want := 4
		if len(s.gathered) >= 4 {
			want = 4 + s.left
		}
		n := min(want-len(s.gathered), len(b))
		s.gathered = append(s.gathered, b[:n]...)
		b = b[n:]
		if len(s.gathered) < want {
			return nil, v, nil
		}
		if want == 4 {
			if s.left = s.length(s.gathered); s.opaque {
				return s.release(), v, b
			}
			if s.left > 0 {
				continue
			}
		}
		piece, v = s.judge(s.release(), l)
		return piece, v, b
	}
	return nil, v, nil
}

// release hands the gathered bytes over and is ready for the next message.
func (s *scanner) release() []byte {
	piece := s.gathered
	s.gathering, s.left = false, 0
	s.gathered = s.gathered[:0]
	if cap(s.gathered) > 1<<20 {
		s.gathered = nil
	}
	return piece
}

// judge asks the interceptors about a whole message and keeps the exchange up
// to date. It returns the bytes that pass.
func (s *scanner) judge(whole []byte, l *link) ([]byte, Verdict) {
	m, ok := s.parse(whole[4:])
	if !ok {
		return whole, Verdict{}
	}
	m.From, m.To = l.from, l.to
	if s.response {
		return s.judgeResponse(whole, m)
	}
	v := Verdict{}
	for _, h := range l.hooks() {
		if h.key == m.Key {
			v = merge(v, h.do(m))
		}
	}
	switch silent := unanswered(m); {
	case v.Drop, v.Answer != nil && silent:
		return nil, v
	case v.Answer != nil:
		frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(v.Answer))), v.Answer...)
		s.exchange.asked(call{id: m.CorrelationID, answer: &answer{frame: frame, hold: holdOf(v)}})
		return nil, v
	case !silent:
		s.exchange.asked(call{id: m.CorrelationID, onResponse: v.OnResponse})
	}
	return whole, v
}

func (s *scanner) judgeResponse(whole []byte, m Message) ([]byte, Verdict) {
	do, before, after := s.exchange.answered(m.CorrelationID)
	s.due = append(s.due, after...)
	v := Verdict{}
	if do != nil {
		v = do(m)
	}
	if len(before) > 0 {
		var all []byte
		for _, a := range before {
			all = append(all, a.frame...)
		}
		whole = append(all, whole...)
	}
	return whole, v
}

// merge joins the verdicts of two interceptors: the delays add up, of what
// excludes each other the first one holds.
func merge(a, b Verdict) Verdict {
	a.Delay += b.Delay
	a.Drop = a.Drop || b.Drop
	if a.Until == nil {
		a.Until = b.Until
	}
	if a.Answer == nil {
		a.Answer = b.Answer
	}
	if a.OnResponse == nil {
		a.OnResponse = b.OnResponse
	}
	return a
}

// unanswered reports whether m is a produce request with acks=0, which gets no
// response.
func unanswered(m Message) bool {
	const produce = 0
	if m.Response || m.Key != produce || len(m.Frame) < 10 {
		return false
	}
	b, ok := skipString(m.Frame[8:]) // the client id
	if !ok {
		return false
	}
	switch { // the transactional id
	case m.Version >= 9: // flexible: no tags in the header, a compact string
		if len(b) < 2 || b[0] != 0 || b[1] > 127 || len(b) < 1+max(int(b[1]), 1) {
			return false
		}
		b = b[1+max(int(b[1]), 1):]
	case m.Version >= 3:
		if b, ok = skipString(b); !ok {
			return false
		}
	}
	return len(b) >= 2 && b[0] == 0 && b[1] == 0
}

// skipString passes a nullable string with a length of two bytes.
func skipString(b []byte) ([]byte, bool) {
	if len(b) < 2 {
		return nil, false
	}
	n := max(int(int16(binary.BigEndian.Uint16(b))), 0)
	if len(b) < 2+n {
		return nil, false
	}
	return b[2+n:], true
}
