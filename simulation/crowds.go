package simulation

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A crowd is the members of one group, and what happens to all of them.
type crowd struct {
	Group
	run    *run
	number int

	ghosts sync.WaitGroup // commits that come late

	mu     sync.Mutex
	closed chan struct{} // of the hall: closed when everybody is to go
	open   chan struct{} // closed when they may come
}

func newCrowd(r *run, g Group, number int) *crowd {
	c := &crowd{Group: g, run: r, number: number, closed: make(chan struct{}), open: make(chan struct{})}
	close(c.open)
	return c
}

// enter waits until members may come. It fails when ctx ends.
func (c *crowd) enter(ctx context.Context) bool {
	for {
		c.mu.Lock()
		open := c.open
		c.mu.Unlock()
		select {
		case <-open:
			return ctx.Err() == nil
		case <-ctx.Done():
			return false
		}
	}
}

// shift ends with ctx, and when everybody is to go.
func (c *crowd) shift(ctx context.Context) (context.Context, context.CancelFunc) {
	c.mu.Lock()
	closed := c.closed
	c.mu.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-closed:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// close has everybody go, until reopen is called.
func (c *crowd) close() (reopen func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.open = make(chan struct{})
	close(c.closed)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.closed = make(chan struct{})
		close(c.open)
	}
}

// govern sets the group's offsets back now and then: tries while there are members, which is
// to be refused, and does when they have gone.
func (c *crowd) govern(ctx context.Context) {
	rng := rand.New(rand.NewPCG(c.run.plan.Seed, 300+uint64(c.number)))
	for n := 0; c.Resets && sleep(ctx, millis(rng, 2000, 10_000)); n++ {
		c.reset(ctx, rng, n, 0)
		reopen := c.close()
		over, cancel := context.WithTimeout(ctx, 10*time.Second)
		for try := 1; !c.reset(over, rng, n, try) && sleep(over, millis(rng, 50, 500)); try++ {
		}
		cancel()
		reopen()
	}
}

func (g Group) balancer() kgo.GroupBalancer {
	switch {
	case g.Cooperative:
		return kgo.CooperativeStickyBalancer()
	case g.Balancer == "range":
		return kgo.RangeBalancer()
	case g.Balancer == "roundrobin":
		return kgo.RoundRobinBalancer()
	}
	return kgo.StickyBalancer()
}

// commitsOf are the commits of one request, which is given a note.
func commitsOf(req *kmsg.OffsetCommitRequest, note string) (all []Commit) {
	for i := range req.Topics {
		t := &req.Topics[i]
		for k := range t.Partitions {
			p := &t.Partitions[k]
			p.Metadata = &note
			all = append(all, Commit{
				Group: req.Group, Member: req.MemberID, Generation: req.Generation,
				Place: Place{t.Topic, p.Partition}, Offset: p.Offset, Note: note,
			})
		}
	}
	return all
}

// endAll notes what became of the commits of one request.
func (h *History) endAll(begun []*Commit, resp *kmsg.OffsetCommitResponse, err error, lone bool) {
	outcomes := map[Place]Outcome{}
	if err == nil && resp != nil {
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				outcomes[Place{t.Topic, p.Partition}] = outcomeOf(p.ErrorCode)
			}
		}
	}
	for _, c := range begun {
		o := outcomes[c.Place]
		if o == Refused && !lone {
			o = Unknown // it may have been taken the first time
		}
		h.Ends(c, o, lone)
	}
}

// outcomeOf tells from an error what it leaves open. The fence refuses for good; an
// error of the log, or of a broker that lost the group, may come after the append.
func outcomeOf(code int16) Outcome {
	switch code {
	case 0:
		return Acked
	case kerr.UnknownMemberID.Code, kerr.IllegalGeneration.Code, kerr.FencedInstanceID.Code, kerr.RebalanceInProgress.Code, kerr.GroupIDNotFound.Code,
		kerr.CoordinatorLoadInProgress.Code:
		return Refused
	}
	return Unknown
}

// showAll notes what an answer says of a group's offsets.
func (h *History) showAll(g kmsg.OffsetFetchResponseGroup, reader string, began int) {
	if g.ErrorCode != 0 {
		return
	}
	for _, t := range g.Topics {
		for _, p := range t.Partitions {
			if p.ErrorCode != 0 || t.Topic == "" {
				continue
			}
			s := Shown{Group: g.Group, Reader: reader, Place: Place{t.Topic, p.Partition}, Offset: p.Offset, Began: began}
			if p.Metadata != nil {
				s.Note = *p.Metadata
			}
			h.Shows(s)
		}
	}
}
