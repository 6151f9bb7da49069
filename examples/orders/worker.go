package main

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/examples/internal/story"
)

const (
	group     = "kitchen"
	session   = time.Second            // silent for so long: out of the group
	heartbeat = 100 * time.Millisecond // also how soon a member hears of a rebalance
)

// A worker is one process of the kitchen: it takes orders, cooks them, and commits
// what is done. So whatever happens in between, an order is cooked at least once.
type worker struct {
	name   string
	client *kgo.Client
	link   *story.Link
	ledger *story.Ledger

	stop   context.CancelFunc
	wg     sync.WaitGroup
	crash  atomic.Bool // between cooking and committing, the worst moment
	undone int         // how much it had cooked and not committed when it crashed
}

func newWorker(c *brokersim.Cluster, ledger *story.Ledger, name string) (*worker, error) {
	w := &worker{name: name, link: story.NewLink(c), ledger: ledger}
	client, err := story.NewClient(c,
		kgo.ClientID(name),
		kgo.Dialer(w.link.Dial),
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(story.Topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), // where nothing is committed yet
		kgo.SessionTimeout(session),
		kgo.HeartbeatInterval(heartbeat),
		kgo.FetchMinBytes(1<<10), // some ten orders at a time, but none waits long
		kgo.FetchMaxWait(30*time.Millisecond),
		// Nothing is committed that was not cooked: by default a client commits every
		// five seconds what it has polled.
		kgo.DisableAutoCommit(),
		// Between a poll and AllowRebalance partitions stay where they are, so what was
		// polled can be committed before somebody else reads on from there. The price: a worker
		// that takes longer than kgo.RebalanceTimeout for one poll is thrown out.
		kgo.BlockRebalanceOnPoll(),
	)
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background())
	w.client, w.stop = client, stop
	w.wg.Go(func() { w.work(ctx) })
	return w, nil
}

func (w *worker) work(ctx context.Context) {
	for ctx.Err() == nil {
		fetches := w.client.PollRecords(ctx, 20) // at most so many will be cooked twice
		fetches.EachRecord(w.cook)
		if w.crash.Load() && !fetches.Empty() {
			w.undone = fetches.NumRecords()
			w.link.Cut()
			return
		}
		// An error says that this worker is out of its group, or cannot reach it: it will lose
		// its partitions, and their next owner cooks these orders again. That is what at-least-once
		// means, and there is nothing to do about it here.
		_ = w.client.CommitUncommittedOffsets(context.Background())
		w.client.AllowRebalance()
	}
}

func (w *worker) cook(r *kgo.Record) { w.ledger.Processed(string(r.Key)) }

// Crash ends the worker between cooking and committing, without a goodbye. It returns how
// many orders are cooked and not committed.
func (w *worker) Crash() int {
	w.crash.Store(true)
	w.wg.Wait()
	return w.undone
}

// Close ends the worker as a good one ends: it finishes what it has polled, commits
// that, and leaves the group. One that has crashed can do none of it.
func (w *worker) Close() {
	w.stop()
	w.wg.Wait()
	w.client.CloseAllowingRebalance()
}
