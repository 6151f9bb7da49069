package coordinator

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
)

func TestNextStepOfABroker(t *testing.T) {
	fenced := metadata.Broker{ID: 1, Epoch: 10, Fenced: true}
	unfenced := metadata.Broker{ID: 1, Epoch: 10}
	leaving := metadata.Broker{ID: 1, Epoch: 10, ShuttingDown: true}
	for _, c := range []struct {
		name    string
		broker  metadata.Broker
		applied int64
		fence   bool
		stop    bool
		free    bool
		want    step
	}{
		{"it has not seen its own registration", fenced, 9, false, false, false, stay},
		{"it has", fenced, 10, false, false, false, unfence},
		{"it has, and wants to stay fenced", fenced, 12, true, false, false, stay},
		{"it shuts down and nobody counts on it", fenced, 0, false, true, false, letGo},
		{"nothing to do", unfenced, 12, false, false, false, stay},
		{"it asks to be fenced", unfenced, 12, true, false, false, fence},
		{"it asks to shut down", unfenced, 12, false, true, true, beginShutdown},
		{"it still leads, or not everybody knows", leaving, 12, false, true, false, stay},
		{"it is not needed any more", leaving, 12, false, true, true, letGo},
	} {
		t.Run(c.name, func(t *testing.T) {
			req := &kmsg.BrokerHeartbeatRequest{CurrentMetadataOffset: c.applied, WantFence: c.fence, WantShutdown: c.stop}
			require.Equal(t, c.want, nextStep(c.broker, req, func() bool { return c.free }))
		})
	}
}
