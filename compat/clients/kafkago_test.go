package clients

import (
	"context"
	"testing"

	"github.com/segmentio/kafka-go"
)

// joinKafkaGo joins with kafka-go's Reader.
func joinKafkaGo(t *testing.T, s seat) (leave func()) {
	r := kafka.NewReader(kafka.ReaderConfig{
		Brokers: s.addrs, GroupID: group, Topic: topic, StartOffset: kafka.FirstOffset,
		Dialer:         &kafka.Dialer{ClientID: s.name, DialFunc: s.line.DialContext},
		SessionTimeout: session, HeartbeatInterval: beat, JoinGroupBackoff: beat, ReadBackoffMin: beat, ReadBackoffMax: beat, MaxWait: beat,
	})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			m, err := r.ReadMessage(ctx) // commits
			if err == nil {
				s.note(string(m.Value))
			}
		}
	}()
	return func() {
		stop()
		<-done
		_ = r.Close()
	}
}
