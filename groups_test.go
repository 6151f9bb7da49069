package brokersim_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

func TestAGroupWorksThroughATopic(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		c := brokertest.Start(t, brokersim.Topic("orders", 3, 2))
		p := client(t, c, kgo.DefaultProduceTopic("orders"))
		for i := range 100 {
			p.Produce(t.Context(), kgo.StringRecord(fmt.Sprint(i)), nil)
		}
		require.NoError(t, p.Flush(t.Context()))
		var mu sync.Mutex
		seen := map[string]int{}
		w := client(t, c, kgo.ConsumerGroup("billing"), kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		for n := 0; n < 100; {
			fs := w.PollFetches(t.Context())
			require.NoError(t, fs.Err())
			fs.EachRecord(func(r *kgo.Record) { mu.Lock(); seen[string(r.Value)]++; n++; mu.Unlock() })
		}
		require.NoError(t, w.CommitUncommittedOffsets(t.Context()))
		require.Len(t, seen, 100)
		time.Sleep(time.Minute)
	})
}
