package clients

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

// joinFranz joins with franz-go.
func joinFranz(opts ...kgo.Opt) join {
	return func(t *testing.T, s seat) (leave func()) {
		cl, err := kgo.NewClient(append([]kgo.Opt{
			kgo.SeedBrokers(s.addrs...), kgo.Dialer(s.line.DialContext), kgo.ClientID(s.name),
			kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
			kgo.SessionTimeout(session), kgo.HeartbeatInterval(beat), kgo.MetadataMinAge(beat), kgo.AutoCommitMarks(),
		}, append(opts, instance(s)...)...)...)
		require.NoError(t, err)
		ctx, stop := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() {
			defer close(done)
			for ctx.Err() == nil {
				cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
					s.note(string(r.Value))
					cl.MarkCommitRecords(r)
				})
			}
		}()
		return func() {
			stop()
			<-done
			cl.Close() // commits what is marked
		}
	}
}

func instance(s seat) []kgo.Opt {
	if s.instance == "" {
		return nil
	}
	return []kgo.Opt{kgo.InstanceID(s.instance)}
}
