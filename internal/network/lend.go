package network

import "github.com/brokersim/brokersim/internal/slab"

// lendFrom is how many bytes the spans that are lent have at least, on average: of
// fewer, a copy costs less than a chunk.
const lendFrom = 1 << 10

// writeSpans queues all spans, and nothing of others between them. Neighbours that are
// shared are lent either all or none, since only all of them together mean something to
// whoever wants to have them without a copy.
func (p *pipe) writeSpans(spans []slab.Span) error {
	if err := p.beginLocked(); err != nil {
		return err
	}
	defer p.mu.Unlock()
	defer p.doneLocked()
	for len(spans) > 0 {
		n, lend := alike(spans)
		for _, s := range spans[:n] {
			if err := p.passSpanLocked(s, lend); err != nil {
				return err
			}
		}
		spans = spans[n:]
	}
	return nil
}

// alike returns how many spans from the first one on are shared as it is, or not shared
// as it is, and whether to lend them.
func alike(spans []slab.Span) (n int, lend bool) {
	shared, size := spans[0].Shared(), 0
	for n < len(spans) && spans[n].Shared() == shared {
		size += spans[n].Len()
		n++
	}
	return n, shared && size >= n*lendFrom
}

// passSpanLocked queues s: by reference if it is to be lent and no interceptor, which may
// change a message, wants to see it.
func (p *pipe) passSpanLocked(s slab.Span, lend bool) error {
	if !lend || p.frames != nil && p.frames.intercepting(p.link) {
		_, err := p.passLocked(s.Bytes())
		return err
	}
	if p.frames != nil {
		p.frames.observe(s.Bytes())
	}
	return p.lendLocked(s)
}

// lendLocked queues s by reference, in parts that arrive each by itself, as copies of the
// same size would. It waits for room where it must.
func (p *pipe) lendLocked(s slab.Span) error {
	if err := p.writableLocked(); err != nil {
		return err
	}
	for s.Len() > 0 {
		room, err := p.roomLocked()
		if err != nil {
			return err
		}
		m := min(s.Len(), room, largeChunk)
		part := s.Cut(0, m)
		p.pushLocked(chunk{buf: part.Bytes(), lent: part, w: m, linked: p.link.arrival(m)})
		p.size += m
		p.unread = true
		s = s.Cut(m, s.Len())
	}
	return nil
}
