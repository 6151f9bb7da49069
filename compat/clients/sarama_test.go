package clients

import (
	"context"
	"testing"

	"github.com/IBM/sarama"
	"github.com/stretchr/testify/require"
)

// joinSarama joins with sarama as it speaks to a Kafka of some version.
func joinSarama(version sarama.KafkaVersion, strategy sarama.BalanceStrategy) join {
	return func(t *testing.T, s seat) (leave func()) {
		cfg := sarama.NewConfig()
		cfg.Version, cfg.ClientID = version, s.name
		cfg.Net.Proxy.Enable, cfg.Net.Proxy.Dialer = true, s.line
		cfg.Metadata.Retry.Backoff = beat
		cfg.Consumer.Offsets.Initial = sarama.OffsetOldest
		cfg.Consumer.Offsets.AutoCommit.Interval = beat
		cfg.Consumer.Group.Session.Timeout, cfg.Consumer.Group.Heartbeat.Interval = session, beat
		cfg.Consumer.Group.Rebalance.Retry.Backoff = beat
		cfg.Consumer.Group.Rebalance.GroupStrategies = []sarama.BalanceStrategy{strategy}
		cfg.Consumer.Group.InstanceId = s.instance
		g, err := sarama.NewConsumerGroup(s.addrs, group, cfg)
		require.NoError(t, err)
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for ctx.Err() == nil {
				_ = g.Consume(ctx, []string{topic}, saramaHandler{s}) // ends with each generation; the story sees what came of it
			}
		}()
		return func() {
			stop()
			<-done
			_ = g.Close()
		}
	}
}

type saramaHandler struct{ seat seat }

func (saramaHandler) Setup(sarama.ConsumerGroupSession) error   { return nil }
func (saramaHandler) Cleanup(sarama.ConsumerGroupSession) error { return nil }

func (h saramaHandler) ConsumeClaim(s sarama.ConsumerGroupSession, c sarama.ConsumerGroupClaim) error {
	for {
		select {
		case m, ok := <-c.Messages():
			if !ok {
				return nil
			}
			h.seat.note(string(m.Value))
			s.MarkMessage(m, "")
		case <-s.Context().Done():
			return nil
		}
	}
}
