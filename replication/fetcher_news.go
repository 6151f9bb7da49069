package replication

import (
	"time"

	"github.com/brokersim/brokersim/metadata"
)

// A remoteCopy is one partition of a Fetcher.
type remoteCopy struct {
	id        metadata.TopicPartition
	replica   *Replica
	sent      FetchPartition // what the leader last heard
	inSession bool           // the leader has heard of it
	looking   bool           // in look
	until     time.Time      // rests until then; zero: it does not
	removed   bool
}

// A rest is an entry in Fetcher.resting; void if the copy does not rest until then.
type rest struct {
	c     *remoteCopy
	until time.Time
}

// hear takes over what Add and Remove have said.
func (f *Fetcher) hear() {
	for id, r := range f.takeNews() {
		c := f.copies[id]
		if c != nil && c.replica != r {
			f.forget(c)
			f.endRest(c)
			c.removed = true
			delete(f.copies, id)
			c = nil
		}
		if r == nil {
			continue
		}
		if c == nil {
			c = &remoteCopy{id: id, replica: r}
			f.copies[id] = c
		}
		f.endRest(c) // the new epoch may be what it waited for
		f.lookAt(c)
	}
}

// takeNews returns what was said since the last time.
func (f *Fetcher) takeNews() map[metadata.TopicPartition]*Replica {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.news) == 0 {
		return nil // the map stays with those who write to it
	}
	news := f.news
	f.urgent = false
	f.news = map[metadata.TopicPartition]*Replica{}
	return news
}

// rouse looks again at those that have rested long enough.
func (f *Fetcher) rouse(now time.Time) {
	for len(f.resting) > 0 && !f.resting[0].until.After(now) {
		if r := f.resting[0]; r.c.until.Equal(r.until) {
			f.endRest(r.c)
			f.lookAt(r.c)
		}
		f.resting = f.resting[1:]
	}
}

func (f *Fetcher) lookAt(c *remoteCopy) {
	if !c.looking && !c.removed {
		c.looking = true
		f.look = append(f.look, c)
	}
}

// startRest leaves a partition alone for a while. The leader is to forget it, or
// it would repeat the error at once.
func (f *Fetcher) startRest(c *remoteCopy) {
	if c.removed || !c.until.IsZero() {
		return
	}
	f.forget(c)
	f.rests++
	c.until = time.Now().Add(f.cfg.Backoff)
	f.resting = append(f.resting, rest{c, c.until})
}

func (f *Fetcher) endRest(c *remoteCopy) {
	if !c.until.IsZero() {
		f.rests--
		c.until = time.Time{}
	}
}

func (f *Fetcher) forget(c *remoteCopy) {
	if c.inSession {
		c.inSession = false
		f.gone = append(f.gone, c.id)
	}
}

// request says what is new since the request before.
func (f *Fetcher) request(now time.Time) FetchRequest {
	req := FetchRequest{MinBytes: 1, MaxBytes: f.cfg.MaxBytes, Full: f.full}
	if f.full {
		for _, c := range f.copies {
			c.inSession = false
			if c.until.IsZero() {
				f.lookAt(c)
			}
		}
		f.gone = f.gone[:0]
	}
	look := f.look
	f.look = nil
	for _, c := range look {
		c.looking = false
		if c.removed || !c.until.IsZero() {
			continue
		}
		pos, ok := c.replica.position(f.cfg.Leader)
		if !ok {
			f.startRest(c) // its role is not settled yet
			continue
		}
		pos.MaxBytes = f.cfg.PartitionMaxBytes
		if c.inSession && pos == c.sent {
			continue
		}
		c.sent, c.inSession = pos, true
		req.Partitions = append(req.Partitions, pos)
	}
	req.Forgotten, f.gone = f.gone, nil
	req.MaxWait = min(f.cfg.MaxWait, f.untilRoused(now))
	return req
}

// untilRoused is how long until a resting partition wants to be asked for again.
func (f *Fetcher) untilRoused(now time.Time) time.Duration {
	if len(f.resting) == 0 {
		return f.cfg.MaxWait
	}
	return max(f.resting[0].until.Sub(now), time.Millisecond)
}
