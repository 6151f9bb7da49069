package brokersim_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// While a client is at work, anything befalls anybody, several at once, as long as
// no two replicas lose what they had not synced: whatever was acked is there, once.
// BROKERSIM_STORMS asks for more seeds than the first few.
func TestStorms(t *testing.T) {
	seeds := uint64(4)
	if n, err := strconv.ParseUint(os.Getenv("BROKERSIM_STORMS"), 10, 64); err == nil {
		seeds = n
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			t.Parallel()
			brokertest.Virtual(t, func(t *testing.T) { storm(t, seed) })
		})
	}
}

func storm(t *testing.T, seed uint64) {
	c := brokertest.Start(t, brokersim.Seed(seed), brokersim.SnapshotEvery(64),
		brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
	rng := rand.New(rand.NewPCG(seed, 1))
	l := startLoad(t, c, "orders")
	for range 15 {
		var stopping sync.WaitGroup // those who shut down in good order, which takes its time
		unsynced := false           // whether somebody has lost unsynced records in this round
		for range 1 + rng.IntN(3) {
			time.Sleep(time.Duration(rng.IntN(700)) * time.Millisecond)
			strike(c, rng, &stopping, &unsynced)
		}
		time.Sleep(time.Duration(rng.IntN(2500)) * time.Millisecond)
		c.CheckInvariants()
		c.Heal()
		stopping.Wait()
		for _, n := range c.Coordinator().Nodes() {
			if !n.Process().Up() {
				require.NoError(t, n.Start())
			}
		}
		for _, b := range c.Brokers() {
			if !b.Process().Up() {
				require.NoError(t, b.Start())
			}
		}
		c.Must(brokersim.FullISR())
		c.Must(brokersim.Replicated("orders", 0, c.Partition("orders", 0).HighWatermark))
	}
	l.stop()
	require.Empty(t, l.failed)
	require.Empty(t, electedUncleanly(t, c))
	l.kept(t)
}

// strike does something to somebody. A verb that does not fit, because the broker
// is just being stopped, does nothing.
func strike(c *brokertest.C, rng *rand.Rand, stopping *sync.WaitGroup, unsynced *bool) {
	b := c.Brokers()[rng.IntN(3)]
	other := c.Brokers()[rng.IntN(3)]
	n := c.Coordinator().Nodes()[rng.IntN(3)]
	up := b.Process() == brokersim.Running
	ends := func(b *brokersim.Broker) []brokersim.End { return []brokersim.End{brokersim.B(b.ID())} }
	switch what := rng.IntN(14); {
	case what < 2 && up:
		b.Kill()
	case what == 2 && up && !*unsynced:
		*unsynced = true
		b.PowerOff()
	case what == 3 && up && !*unsynced:
		*unsynced = true
		b.Kill()
		b.Wipe()
		b.Start()
	case what == 4 && up:
		stopping.Go(func() { b.Stop() })
	case what == 5:
		b.Pause()
	case what == 6:
		b.Isolate()
	case what == 7:
		c.Net().OneWay(ends(b), ends(other))
	case what == 8:
		c.Net().Cut(ends(b), append(ends(other), brokersim.Q(n.ID())))
	case what == 9:
		c.Net().Cut(ends(b), []brokersim.End{brokersim.Clients})
	case what == 10 && n.Process().Up():
		n.Kill()
	case what == 11:
		n.Pause()
	case what == 12:
		n.Isolate()
	default:
		b.Disk().Slow(time.Duration(rng.IntN(300))*time.Millisecond, 0)
	}
}
