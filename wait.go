package brokersim

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/brokersim/brokersim/event"
)

// lookAgain bounds how long Wait can miss what no event tells: that a follower
// has appended, for example.
const lookAgain = 10 * time.Millisecond

// ErrClosed says that the cluster was closed meanwhile.
var ErrClosed = errors.New("the cluster is closed")

// Wait blocks until cond holds of a snapshot, or ctx ends or the cluster closes;
// the error names what was missing. Every event has it look again.
func (c *Cluster) Wait(ctx context.Context, cond Cond) error {
	defer c.events.WakeOn(event.HWAdvanced)()
	begin := time.Now()
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for {
		changed := c.events.Changed() // before looking: to miss nothing
		ok, why := cond(c.Snapshot())
		if ok {
			return nil
		}
		select {
		case <-c.life.Done():
			return fmt.Errorf("waiting for %s: %w", why, ErrClosed)
		case <-ctx.Done():
			return fmt.Errorf("waited %v for %s: %w", time.Since(begin).Round(time.Millisecond), why, context.Cause(ctx))
		case <-changed:
		case <-again.C:
		}
	}
}
