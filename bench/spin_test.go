package bench

import (
	"context"
	"runtime"
	"sync"
	"time"

	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/event"
)

// spin keeps every core busy.
func spin(d time.Duration) {
	var wg sync.WaitGroup
	for end, i := time.Now().Add(d), 0; i < runtime.NumCPU(); i++ {
		wg.Go(func() {
			for x := 1; time.Now().Before(end); {
				for range 1 << 16 {
					x = x*1664525 + 1013904223
				}
			}
		})
	}
	wg.Wait()
}

// eventsSince returns what has happened since an event, without waiting for more.
func eventsSince(c *brokertest.C, since uint64) (events []event.Event) {
	last := c.Snapshot().Seq
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if last == since {
		return nil
	}
	for e := range c.Events(ctx, since) {
		events = append(events, e)
		if e.Seq >= last {
			break
		}
	}
	return events
}
