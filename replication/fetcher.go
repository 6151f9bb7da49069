package replication

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/gate"
	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
)

// A FetcherConfig is what a fetcher is made from.
type FetcherConfig struct {
	Leader            int32
	Endpoint          LeaderEndpoint
	MaxWait           time.Duration // replica.fetch.wait.max.ms
	MaxBytes          int           // of one answer
	PartitionMaxBytes int           // replica.fetch.max.bytes: of one partition in it
	Backoff           time.Duration // after an error, of one partition or of the connection
	Starts            StartKeeper   // nil: nothing has to be remembered
	Gate              *gate.Gate
	Events            event.Sink
	Node              string
	Seed              uint64 // of the jitter
}

// A Fetcher copies everything that this broker follows of one other broker. It is
// one goroutine: who calls Run. A round costs what it has to say and what it gets
// to hear; a partition where nothing happens costs nothing.
//
// Add and Remove may be called from any goroutine, also before Run and after it
// has ended.
type Fetcher struct {
	cfg  FetcherConfig
	wake chan struct{} // holds a token when there is news

	mu        sync.Mutex
	news      map[metadata.TopicPartition]*Replica // added; nil: removed
	urgent    bool                                 // news is not to wait for a fetch
	interrupt context.CancelFunc                   // ends the fetch that is under way

	// Of Run's goroutine alone.
	call    context.Context // of all fetches until one is interrupted
	hangUp  context.CancelFunc
	copies  map[metadata.TopicPartition]*remoteCopy
	look    []*remoteCopy // to look at before the next request
	resting []rest        // after an error, by their ends; some were ended early
	rests   int           // partitions that rest
	gone    []metadata.TopicPartition
	full    bool // the next request begins a session
	unkept  bool // a log starts later than the disk remembers
	outage  bool // the leader could not be reached the last time
	rand    *rand.Rand
}

// NewFetcher returns a fetcher of one leader. It owns the endpoint.
func NewFetcher(cfg FetcherConfig) *Fetcher {
	if cfg.Events == nil {
		cfg.Events = event.Discard
	}
	return &Fetcher{
		cfg: cfg, wake: make(chan struct{}, 1), full: true,
		news:   map[metadata.TopicPartition]*Replica{},
		copies: map[metadata.TopicPartition]*remoteCopy{},
		rand:   rand.New(rand.NewPCG(cfg.Seed, uint64(cfg.Leader))),
	}
}

// Add begins to fetch a replica, or looks at one again: call it whenever a leader
// epoch begins in which the replica follows this leader, after Apply. The fetch
// under way is interrupted, so that a new leader is asked at once.
func (f *Fetcher) Add(r *Replica) {
	f.Note(r.ID(), r)
	f.Heed()
}

// Remove stops fetching a partition. An answer that has arrived may still be
// appended after the call; that is as if it had come before.
func (f *Fetcher) Remove(id metadata.TopicPartition) {
	f.Note(id, nil)
	f.Heed()
}

// Note is Add, or Remove if r is nil, without interrupting the fetch under way. Who
// has many to say calls it for each, and Heed once: an interrupted session costs a
// request that names everything.
func (f *Fetcher) Note(id metadata.TopicPartition, r *Replica) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.news[id] = r
}

// Heed has what was noted heeded at once.
func (f *Fetcher) Heed() {
	f.mu.Lock()
	f.urgent = len(f.news) > 0 // else it was heard already
	if f.urgent && f.interrupt != nil {
		f.interrupt() // and not a later one
	}
	f.mu.Unlock()
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Run fetches until ctx ends or the gate is shut, then closes the endpoint. It
// returns why it ended.
func (f *Fetcher) Run(ctx context.Context) error {
	defer f.cfg.Endpoint.Close()
	ctx, done := context.WithCancel(ctx)
	defer done()
	for {
		if err := f.round(ctx); err != nil {
			return err
		}
	}
}

// round sends one request and does what its answer asks for.
func (f *Fetcher) round(ctx context.Context) error {
	if err := errors.Join(ctx.Err(), f.cfg.Gate.Pass()); err != nil {
		return err
	}
	now := time.Now()
	f.hear()
	f.rouse(now)
	req := f.request(now)
	if f.rests == len(f.copies) { // nothing to wait for at the leader
		f.gone = req.Forgotten
		return f.sleep(ctx, f.untilRoused(now))
	}
	if !f.begin(ctx) {
		f.full = true // what req said was not sent
		return nil
	}
	ans, err := f.cfg.Endpoint.Fetch(f.call, req)
	interrupted := f.end()
	if err != nil {
		return f.broken(ctx, err, interrupted)
	}
	f.full, f.outage = false, false
	for i := range ans.Partitions {
		f.answered(ctx, &ans.Partitions[i])
	}
	return f.keepStarts()
}

// keepStarts has the disk remember where the logs start now, before the next
// request tells the leader.
func (f *Fetcher) keepStarts() error {
	if !f.unkept || f.cfg.Starts == nil || !guard.KeptStart.Holds() {
		return nil
	}
	f.unkept = false
	return f.cfg.Starts.Keep()
}

// begin makes the next fetch interruptible. It returns false if there is urgent news already.
func (f *Fetcher) begin(ctx context.Context) bool {
	if f.call == nil || f.call.Err() != nil {
		f.call, f.hangUp = context.WithCancel(ctx)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.urgent {
		return false
	}
	f.interrupt = f.hangUp
	return true
}

// end is the end of the fetch that begin was for, and says whether it was interrupted.
func (f *Fetcher) end() (interrupted bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.interrupt = nil
	return f.call.Err() != nil
}

// answered does what the leader's answer for one partition asks for.
func (f *Fetcher) answered(ctx context.Context, ans *FetchedPartition) {
	c := f.copies[ans.ID]
	if c == nil || !c.inSession {
		return
	}
	if err := c.replica.copied(ctx, c.sent, *ans); err != nil {
		f.startRest(c)
		return
	}
	f.unkept = f.unkept || c.replica.unkept()
	f.lookAt(c)
}

// broken deals with a request that got no answer. Everything is to be said anew.
func (f *Fetcher) broken(ctx context.Context, err error, interrupted bool) error {
	again := f.full // a session that did not even begin
	f.full = true
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case interrupted:
		return nil
	case sessionLost(err) && !again:
		return nil
	}
	if !f.outage {
		f.outage = true
		f.cfg.Events.Emit(event.Event{Kind: event.FetcherFailed, Node: f.cfg.Node, Part: -1,
			Data: map[string]any{"leader": f.cfg.Leader, "error": err.Error()}})
	}
	// Between half and all of it, so that the followers of a dead leader do not
	// come back in step.
	return f.pause(ctx, f.cfg.Backoff/2+time.Duration(f.rand.Int64N(int64(f.cfg.Backoff/2)+1)))
}

func sessionLost(err error) bool {
	return errors.Is(err, metadata.ErrFetchSessionIDNotFound) || errors.Is(err, metadata.ErrInvalidFetchSessionEpoch)
}

// sleep waits for news, or for d if something rests.
func (f *Fetcher) sleep(ctx context.Context, d time.Duration) error {
	if len(f.resting) == 0 {
		select {
		case <-f.wake:
		case <-ctx.Done():
		}
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-f.wake:
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}

// pause waits for d whatever news there is.
func (f *Fetcher) pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
	return nil
}
