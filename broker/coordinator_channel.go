package broker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// A quorum is what a broker knows of the coordinator nodes: where they are and
// which one is active as far as was seen last. The broker's channels share it, so
// that what one of them learns helps the others.
type quorum struct {
	addrs []string

	mu     sync.Mutex
	active int             // index of the node that last answered as the active one
	era    context.Context // ends when active changes, or does not answer
	end    context.CancelFunc
	silent []time.Time // until when a node that did not answer is on probation
	stood  time.Time   // see standing
}

func newQuorum(addrs []string) *quorum {
	q := &quorum{addrs: addrs, silent: make([]time.Time, len(addrs))}
	q.era, q.end = context.WithCancel(context.Background())
	return q
}

// believed returns the node that seems to be the active one, and a context that
// ends when another one does.
func (q *quorum) believed() (node int, era context.Context) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.active, q.era
}

// answered notes that node spoke as the active coordinator.
func (q *quorum) answered(node int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.silent[node] = time.Time{}
	if q.active != node {
		q.active = node
		q.end()
		q.era, q.end = context.WithCancel(context.Background())
	}
}

// unanswered notes that node said nothing in the time that it had. Whoever waits for it
// without a limit asks again.
func (q *quorum) unanswered(node int, until time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.silent[node] = until
	if q.active == node {
		q.end()
		q.era, q.end = context.WithCancel(context.Background())
	}
}

// next chooses the node to try: the believed one first, then the others in
// turn. A node that was silent lately comes last and on probation, unless all
// were. ok is false when the round is over.
func (q *quorum) next(tried []bool, now time.Time) (node int, probation, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	spoken, last := false, -1 // somebody was not silent; the first who was
	for i := range q.addrs {
		n := (q.active + i) % len(q.addrs)
		silent := now.Before(q.silent[n])
		spoken = spoken || !silent
		switch {
		case tried[n]:
		case !silent:
			return n, false, true
		case last < 0:
			last = n
		}
	}
	return last, spoken, last >= 0
}

// stand notes that at a time nobody could take this broker for silent: it sent a heartbeat then that was
// answered, or nobody was the active coordinator.
func (q *quorum) stand(at time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if at.After(q.stood) {
		q.stood = at
	}
}

// standing is the newest time at which this broker was not silent for all that it knows. Its session,
// and those of its groups' members with another broker, last longer than that.
func (q *quorum) standing() time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.stood
}

// A coordinatorChannel carries requests to the active coordinator, whichever
// node that is. It has one connection to each node, made when first needed, and
// begins no goroutine but those of wire.Client. Do may be called concurrently.
type coordinatorChannel struct {
	quorum *quorum
	limit  time.Duration // how long one node may take to answer; 0: until another one is active
	pass   func() error  // the gate

	clients []*wire.Client // one for each node

	mu  sync.Mutex
	rng *rand.Rand
}

func newCoordinatorChannel(cfg Config, q *quorum, purpose uint64, limit time.Duration) *coordinatorChannel {
	c := &coordinatorChannel{
		quorum: q, limit: limit, pass: cfg.Gate.Pass, rng: rand.New(rand.NewPCG(cfg.Seed, purpose)),
	}
	for _, addr := range q.addrs {
		c.clients = append(c.clients, wire.NewClient(wire.ClientConfig{
			ClientID: event.BrokerNode(cfg.ID),
			Dial:     func(ctx context.Context) (net.Conn, error) { return cfg.Dial(ctx, "tcp", addr) },
		}))
	}
	return c
}

// Do sends req to the active coordinator and returns its answer. A node that is
// not active, refuses, resets or keeps silent makes it try the next one; once
// all were tried, a short pause. It gives up only when ctx ends, and says what
// it met last. A request may have been carried out even if no answer came, and
// may be sent again.
func (c *coordinatorChannel) Do(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	var last error
	for {
		tried := make([]bool, len(c.quorum.addrs))
		began, gone := time.Now(), 0
		for {
			node, probation, ok := c.quorum.next(tried, time.Now())
			if !ok {
				break
			}
			tried[node] = true
			limit := c.limit
			if probation {
				limit /= 8 // it must not keep us from the next one for long, nor be forgotten
			}
			resp, err := c.try(ctx, node, req, limit)
			if err == nil {
				c.quorum.answered(node)
				return resp, nil
			}
			if ctx.Err() != nil {
				break
			}
			last = err
			if errors.Is(err, syscall.ECONNREFUSED) {
				gone++
			}
		}
		if 2*gone > len(tried) {
			c.quorum.stand(began) // the others are no majority
		}
		if err := c.rest(ctx); err != nil {
			return nil, unreachable(err, last)
		}
	}
}

// unreachable is the error of a request that found no active coordinator.
func unreachable(ended, last error) error {
	if last == nil {
		return fmt.Errorf("%w: no coordinator answered: %w", metadata.ErrBrokerNotAvailable, ended)
	}
	return fmt.Errorf("%w: no coordinator answered: %w; the last one: %w", metadata.ErrBrokerNotAvailable, ended, last)
}

// try asks one node. Time is bounded, and it ends early when another node turns
// out to be the active one: what this one still says would not count.
func (c *coordinatorChannel) try(ctx context.Context, node int, req kmsg.Request, limit time.Duration) (kmsg.Response, error) {
	active, era := c.quorum.believed()
	if active != node {
		era = context.Background() // looking around: let the node say no by itself
	}
	resp, err := c.ask(ctx, node, req, limit, era)
	if err != nil {
		return nil, err
	}
	if err := wire.Err(topCode(resp)); errors.Is(err, metadata.ErrNotController) {
		return nil, fmt.Errorf("%s: %w", c.quorum.addrs[node], err)
	}
	return resp, nil
}

// ask sends req to one node and awaits the answer for at most the limit, and not
// beyond the end of era.
func (c *coordinatorChannel) ask(ctx context.Context, node int, req kmsg.Request, limit time.Duration, era context.Context) (kmsg.Response, error) {
	client := c.clients[node]
	try, cancel := context.WithCancel(ctx)
	if limit > 0 {
		try, cancel = context.WithTimeout(ctx, limit)
	}
	defer cancel()
	defer context.AfterFunc(era, cancel)()
	resp, err := client.Do(try, req)
	switch {
	case err == nil:
		return resp, nil
	case ctx.Err() == nil && errors.Is(try.Err(), context.DeadlineExceeded):
		// Perhaps the peer is gone without a word: a new connection would tell.
		c.quorum.unanswered(node, time.Now().Add(2*c.limit))
		client.Disconnect()
	}
	return nil, fmt.Errorf("%s: %w", c.quorum.addrs[node], err)
}

// rest is the pause after every node was tried: long enough not to spin while
// there is no active coordinator, short against an election.
func (c *coordinatorChannel) rest(ctx context.Context) error {
	c.mu.Lock()
	pause := 20*time.Millisecond + time.Duration(c.rng.Int64N(int64(20*time.Millisecond)))
	c.mu.Unlock()
	if err := sleep(ctx, pause); err != nil {
		return err
	}
	return c.pass()
}

// Close ends what is under way and joins it.
func (c *coordinatorChannel) Close() {
	for _, client := range c.clients {
		client.Close()
	}
}

// topCode is the error code that speaks for a whole answer of the coordinator.
func topCode(resp kmsg.Response) int16 {
	switch r := resp.(type) {
	case *kmsg.BrokerRegistrationResponse:
		return r.ErrorCode
	case *kmsg.BrokerHeartbeatResponse:
		return r.ErrorCode
	case *kmsg.AlterPartitionResponse:
		return r.ErrorCode
	case *kmsg.AllocateProducerIDsResponse:
		return r.ErrorCode
	case *kmsg.EnvelopeResponse:
		return r.ErrorCode
	case *kmsg.FetchResponse:
		return r.ErrorCode
	case *kmsg.FetchSnapshotResponse:
		return r.ErrorCode
	}
	return 0
}

// sleep waits for d unless ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
