package brokersim_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// Whatever befalls one broker and one coordinator node at a time, in any order:
// what was acknowledged is there, once, in every replica.
func TestOneMisfortuneAfterAnother(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			brokertest.Virtual(t, func(t *testing.T) { misfortunes(t, seed) })
		})
	}
}

func misfortunes(t *testing.T, seed uint64) {
	c := brokertest.Start(t, brokersim.Seed(seed), brokersim.SnapshotEvery(16),
		brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
	rng := rand.New(rand.NewPCG(seed, 0))
	p := client(t, c, kgo.DefaultProduceTopic("orders"))
	var acked []string
	next := func() { // one more record, whatever the state of the world
		value := fmt.Sprint("order-", len(acked))
		produce(t, p, value)
		acked = append(acked, value)
	}
	for range 12 {
		next()
		undo := misfortune(t, c, rng)
		time.Sleep(time.Duration(rng.IntN(2000)) * time.Millisecond)
		next()
		c.CheckInvariants()
		undo()
		next()
		c.Must(brokersim.FullISR())
		c.CheckInvariants()
	}
	end := c.Partition("orders", 0).HighWatermark
	c.Must(brokersim.Replicated("orders", 0, end))
	require.Equal(t, acked, consume(t, c, "orders", len(acked)))
}

// misfortune does something to one node, and returns how to undo it.
func misfortune(t *testing.T, c *brokertest.C, rng *rand.Rand) (undo func()) {
	b := c.Brokers()[rng.IntN(3)]
	n := c.Coordinator().Nodes()[rng.IntN(3)]
	restart := func(ends ...func() error) func() {
		for _, end := range ends {
			require.NoError(t, end())
		}
		return func() {
			if !b.Process().Up() {
				require.NoError(t, b.Start())
			}
			if !n.Process().Up() {
				require.NoError(t, n.Start())
			}
		}
	}
	switch rng.IntN(9) {
	case 0:
		return restart(b.Kill)
	case 1:
		return restart(b.PowerOff)
	case 2:
		return restart(b.Stop)
	case 3:
		b.Pause()
		return b.Resume
	case 4:
		return b.Isolate().Heal
	case 5:
		return restart(b.Kill, b.Wipe)
	case 6:
		return restart(n.Kill)
	case 7:
		return restart(n.PowerOff, b.Kill)
	default:
		n.Pause()
		return n.Resume
	}
}
