package brokertest_test

import (
	"testing"
	"time"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

// An hour of Kafka's life, with Kafka's own timings, in a moment of ours.
func ExampleVirtual() {
	_ = func(t *testing.T) { // func TestNothingHappensInAnHour(t *testing.T)
		brokertest.Virtual(t, func(t *testing.T) {
			c := brokertest.Start(t, brokersim.KafkaTimings(), brokersim.Topic("orders", 1, 3))
			time.Sleep(time.Hour)
			c.Must(brokersim.FullISR())
		})
	}
}

// A cluster for one test: it is checked and taken away when the test ends.
func ExampleStart() {
	_ = func(t *testing.T) { // func TestFailover(t *testing.T)
		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3))
		old := c.Leader("orders", 0)
		old.Kill()
		c.Must(brokersim.NewLeader("orders", 0, old.ID()))
		c.CheckInvariants()
	}
}
