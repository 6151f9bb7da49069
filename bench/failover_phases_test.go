package bench

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/event"
)

// failoverTimes is when what happened between a crash and the first ack, for one partition.
type failoverTimes struct {
	noticed time.Time // that the process is gone, or silent for too long
	fenced  time.Time
	elected time.Time
	leads   time.Time // the new leader has begun its epoch
}

// findFailover reads it off the events.
func findFailover(tb testing.TB, c *brokertest.C, since uint64, broker, partition int32) (f failoverTimes) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for e := range c.Events(ctx, since) {
		switch e.Kind {
		case event.BrokerGone, event.SessionExpired:
			if e.Data["broker"] == broker && f.noticed.IsZero() {
				f.noticed = e.Time
			}
		case event.BrokerFenced:
			if e.Data["broker"] == broker {
				f.fenced = e.Time
			}
		case event.LeaderElected:
			if e.Part == partition && e.Topic == topic && !f.fenced.IsZero() {
				f.elected = e.Time
			}
		case event.EpochStarted:
			if e.Part == partition && e.Topic == topic && !f.elected.IsZero() {
				f.leads = e.Time
				return f
			}
		}
	}
	require.FailNow(tb, "the broker was not fenced, or nobody led after it")
	return f
}

// phases are how long each part of several failovers took.
type phases struct{ notice, elect, lead, ack []time.Duration }

func (p *phases) add(crash time.Time, f failoverTimes, ack time.Time) {
	p.notice = append(p.notice, f.noticed.Sub(crash))
	p.elect = append(p.elect, f.elected.Sub(f.noticed))
	p.lead = append(p.lead, f.leads.Sub(f.elected))
	p.ack = append(p.ack, ack.Sub(f.leads))
}

func (p *phases) report(b *testing.B) {
	for _, phase := range []struct {
		took []time.Duration
		unit string
	}{{p.notice, "notice-ms"}, {p.elect, "elect-ms"}, {p.lead, "lead-ms"}, {p.ack, "ack-ms"}} {
		slices.Sort(phase.took)
		b.ReportMetric(ms(quantile(phase.took, 0.5)), phase.unit)
	}
}
