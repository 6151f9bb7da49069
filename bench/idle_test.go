package bench

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// One simulated hour of an idle cluster of three and three, with a client that
// writes once a minute, has to cost five seconds or less, or nobody will simulate
// hours.
func TestAnIdleHourIsCheap(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds of real time, which -short asks to save")
	}
	began := time.Now() // outside the bubble: real time
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic(topic, 3, 3))
		client := newClient(t, c)
		defer client.Close()
		for range 60 {
			time.Sleep(time.Minute)
			require.NoError(t, client.ProduceSync(t.Context(), kgo.StringRecord("tick")).FirstErr())
		}
	})
	took := time.Since(began)
	t.Logf("one simulated hour took %v", took)
	if !raceEnabled {
		require.Less(t, took, 5*time.Second)
	}
}
