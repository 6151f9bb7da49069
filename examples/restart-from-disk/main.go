// Restart-from-disk takes everything down at once and starts it again from what is
// on the disk, three times: every process killed; the power gone everywhere, with each
// record synced before it was acknowledged; and the same without a sync.
//
// The first two lose nothing that was acknowledged: that is promised. The third may
// lose whatever the disks had not been told to keep, and here it is counted.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/examples/internal/story"
)

// A disaster befalls every node at once.
type disaster struct {
	name     string
	flush    string // flush.messages of the topic
	broker   func(*brokersim.Broker) error
	node     func(*brokersim.Node) error
	promised bool // to lose nothing
	why      string
}

const never = "9223372036854775807" // Kafka's default: the operating system syncs when it likes

var disasters = []disaster{
	{"every process killed", never, (*brokersim.Broker).Kill, (*brokersim.Node).Kill, true,
		"promised: what was written stays, though no process is left"},
	{"power gone, flush.messages=1", "1", (*brokersim.Broker).PowerOff, (*brokersim.Node).PowerOff, true,
		"promised: each record was on the disks of all in-sync replicas before its ack"},
	{"power gone, no flush", never, (*brokersim.Broker).PowerOff, (*brokersim.Node).PowerOff, false,
		"allowed: all replicas lost what they had only written, all at the same time"},
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	verdict, err := run(ctx, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "restart-from-disk:", err)
		os.Exit(1)
	}
	if !verdict.OK() {
		os.Exit(1)
	}
}

// run returns what became of the orders that were promised to survive.
func run(ctx context.Context, out io.Writer, opts ...brokersim.Option) (promised story.Verdict, err error) {
	dir, err := os.MkdirTemp("", "restart-from-disk-")
	if err != nil {
		return promised, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	fmt.Fprintln(out, "orders with acks=all on three replicas; then everything goes down at once and is started again")
	fmt.Fprintln(out)
	fmt.Fprintf(out, "  %-30s %6s %6s %6s\n", "", "acked", "read", "lost")
	for i, d := range disasters {
		v, back, err := d.befall(ctx, filepath.Join(dir, fmt.Sprint(i)), opts)
		if err != nil {
			return promised, fmt.Errorf("%s: %w", d.name, err)
		}
		fmt.Fprintf(out, "  %-30s %6d %6d %6d   %s\n", d.name, v.Acked, v.Read, len(v.Lost), d.why)
		fmt.Fprintf(out, "  %-30s %s\n", "", back)
		if d.promised {
			promised.Acked += v.Acked
			promised.Read += v.Read
			promised.Lost = append(promised.Lost, v.Lost...)
			promised.Duplicates += v.Duplicates
		}
	}
	fmt.Fprintln(out)
	if promised.Duplicates > 0 {
		fmt.Fprintf(out, "%d orders are there twice\n", promised.Duplicates)
	}
	fmt.Fprintf(out, "verdict: acked=%d read=%d lost=%d\n", promised.Acked, promised.Read, len(promised.Lost)) // of what was promised
	return promised, nil
}

// befall lets the disaster happen to a cluster under load, and reads what a new one
// finds in the directory.
func (d disaster) befall(ctx context.Context, dir string, opts []brokersim.Option) (v story.Verdict, back string, err error) {
	opts = append(opts, brokersim.DataDir(dir),
		brokersim.Topic(story.Topic, 1, 3, "min.insync.replicas=2", "flush.messages="+d.flush))
	ledger := story.NewLedger()
	if err := d.strike(ctx, ledger, opts); err != nil {
		return v, "", err
	}
	c, err := brokersim.New(ctx, opts...)
	if err != nil {
		return v, "", fmt.Errorf("starting again: %w", err)
	}
	defer c.Close()
	if err := story.ReadAll(ctx, c, ledger); err != nil {
		return v, "", err
	}
	return ledger.Verdict(), comeback(ctx, c), nil
}

// strike takes everything down after 200 orders, while more are on their way.
func (d disaster) strike(ctx context.Context, ledger *story.Ledger, opts []brokersim.Option) error {
	c, err := brokersim.New(ctx, opts...)
	if err != nil {
		return err
	}
	defer c.Close()
	shop, err := story.NewShop(c, ledger, kgo.AllowIdempotentProduceCancellation())
	if err != nil {
		return err
	}
	placing, stop := context.WithCancel(ctx)
	defer shop.Close()
	defer c.Close() // before the shop's: it waits for answers
	defer stop()
	if err := shop.Place(placing, 200, time.Millisecond); err != nil {
		return err
	}
	var downs []error
	for _, b := range c.Brokers() {
		downs = append(downs, d.broker(b))
	}
	for _, n := range c.Coordinator().Nodes() {
		downs = append(downs, d.node(n))
	}
	return errors.Join(downs...)
}

// comeback says how the partition got its leader after the restart.
func comeback(ctx context.Context, c *brokersim.Cluster) string {
	elected, last := "", c.Snapshot().Seq
	for e := range c.Events(ctx, 0) {
		if e.Kind == event.LeaderElected {
			elected = fmt.Sprintf("started again: broker %v leads, epoch %v; %v", e.Data["leader"], e.Data["epoch"], e.Data["why"])
		}
		if e.Seq >= last {
			break
		}
	}
	return elected
}
