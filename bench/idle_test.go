package bench

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// One simulated hour of an idle cluster of three and three, with a client that
// writes once a minute, has to cost five seconds or less, or nobody will simulate
// hours. A machine that is slow at waking goroutines may take in proportion to that.
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
	took, bare := time.Since(began), bareHour(t)
	t.Logf("one simulated hour took %v; one of timers alone %v", took, bare)
	if !raceEnabled {
		require.Less(t, took, max(5*time.Second, mostBareHours*bare))
	}
}

// mostBareHours is how many hours of timers alone an hour of the cluster may cost.
const mostBareHours = 30

// bareHour is what a simulated hour costs in which twenty goroutines wake ten times a second.
func bareHour(t *testing.T) time.Duration {
	began := time.Now()
	brokertest.Virtual(t, func(t *testing.T) {
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				for end := time.Now().Add(time.Hour); time.Now().Before(end); {
					time.Sleep(100 * time.Millisecond)
				}
			})
		}
		all.Wait()
	})
	return time.Since(began)
}
