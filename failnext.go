package brokersim

import (
	"fmt"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/brokersim/brokersim/internal/network"
)

// FailNext answers the next n requests of clients with this API key with a Kafka
// error, without effect: in every partition of the answer and in the top-level
// field where there is one. Requests of other nodes do not count; for those there
// is Net().Intercept.
func (b *Broker) FailNext(apiKey int16, err *kerr.Error, n int) *Fault {
	if err == nil || n < 1 {
		return b.c.faults.impossible(fmt.Errorf("FailNext(%s, err, %d): name an error and how often", keyName(apiKey), n))
	}
	fail, _, _ := Answer(err).action()
	var left atomic.Int64
	left.Store(int64(n))
	act := func(m network.Message) network.Verdict {
		if m.Response || left.Add(-1) < 0 {
			return network.Verdict{}
		}
		return fail(m)
	}
	what := fmt.Sprintf("the next %d %s requests to %s answered with %s", n, keyName(apiKey), b.words(), err.Message)
	heal := b.c.network.Intercept([]string{string(Clients)}, []string{b.name}, apiKey, act)
	return b.c.faults.inject("", what, heal).until(func() bool { return left.Load() <= 0 })
}
