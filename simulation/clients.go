package simulation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// clientOptions have a client notice quickly what has become of the cluster.
func (r *run) clientOptions(more ...kgo.Opt) []kgo.Opt {
	return append(more, kgo.SeedBrokers(r.cluster.Addrs()...), kgo.Dialer(r.cluster.Dial),
		kgo.MetadataMinAge(20*time.Millisecond), kgo.MetadataMaxAge(5*time.Second),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }),
		kgo.RequestTimeoutOverhead(time.Second), kgo.DialTimeout(time.Second))
}

// produce sends records until ctx ends, and waits for the outcome of each.
func (r *run) produce(ctx context.Context, id int, w Producer) {
	rng := rand.New(rand.NewPCG(r.plan.Seed, 100+uint64(id)))
	acks := kgo.AllISRAcks()
	if w.Acks == 1 {
		acks = kgo.LeaderAck()
	}
	opts := []kgo.Opt{
		kgo.RequiredAcks(acks), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(largestBatch),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProduceRequestTimeout(2 * time.Second), kgo.UnknownTopicRetries(-1),
	}
	if !w.Idempotent {
		opts = append(opts, kgo.DisableIdempotentWrite(), kgo.MaxProduceRequestsInflightPerBroker(1))
	}
	if w.GiveUp > 0 {
		opts = append(opts, kgo.RecordDeliveryTimeout(w.GiveUp))
	}
	cl, err := kgo.NewClient(r.clientOptions(opts...)...)
	if err != nil {
		r.wrong("producer: %v", err)
		return
	}
	defer cl.Close()
	places := r.plan.places()
	for n := 0; sleep(ctx, between(rng, 0, 2*w.Rest)); {
		for range 1 + rng.IntN(w.Burst) {
			n++
			r.send(cl, w, pick(rng, places...), fmt.Sprintf("p%d", id), n, rng.IntN(2*w.Size))
		}
	}
	flush, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := cl.Flush(flush); err != nil {
		r.wrong("producer %d still waits for answers %v after the last fault was healed: %v", id, patience, err)
	}
}

func (r *run) send(cl *kgo.Client, w Producer, to Place, producer string, n, padding int) {
	value := fmt.Sprintf("%s/%d", producer, n)
	begun := Send{Producer: producer, Place: to, Value: value, Acks: w.Acks, Idempotent: w.Idempotent}
	if keys := r.plan.topic(to.Topic).Keys; keys > 0 {
		begun.Key, begun.Tombstone = fmt.Sprint("key", padding%keys), padding%5 == 0
	}
	s := r.history.Begin(begun)
	record := &kgo.Record{Topic: to.Topic, Partition: to.Partition, Key: []byte(value), Value: []byte(strings.Repeat("x", padding))}
	if s.Key != "" {
		record.Key, record.Headers = []byte(s.Key), []kgo.RecordHeader{{Key: "value", Value: []byte(value)}}
		if s.Tombstone {
			record.Value = nil
		}
	}
	cl.Produce(context.Background(), record, func(rec *kgo.Record, err error) {
		if err != nil {
			r.history.Unknown(s)
			return
		}
		r.history.Acked(s, rec.Offset)
	})
}

// read follows every partition from its start, until ctx ends. From time to time
// it begins anew, as another reader.
func (r *run) read(ctx context.Context, id int) {
	rng := rand.New(rand.NewPCG(r.plan.Seed, 200+uint64(id)))
	for life := 0; ctx.Err() == nil; life++ {
		some, cancel := context.WithTimeout(ctx, millis(rng, 500, 20_000))
		r.follow(some, fmt.Sprintf("reader %d.%d", id, life), nil)
		cancel()
	}
}

// follow reads until ctx ends, or until it has reached the ends that are given. It
// begins at the first record of partitions that forget, and at offset 0 of others.
// What ages may go before it is read: whole is false then, if ends are given.
func (r *run) follow(ctx context.Context, name string, ends map[Place]int64) (whole bool) {
	from := map[string]map[int32]kgo.Offset{}
	for _, p := range r.plan.places() {
		if from[p.Topic] == nil {
			from[p.Topic] = map[int32]kgo.Offset{}
		}
		from[p.Topic][p.Partition] = kgo.NewOffset().At(0)
		if r.plan.topic(p.Topic).Forgets {
			from[p.Topic][p.Partition] = kgo.NewOffset().AtStart()
		}
	}
	cl, err := kgo.NewClient(r.clientOptions(kgo.ConsumePartitions(from), kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxWait(500*time.Millisecond))...)
	if err != nil {
		r.wrong("reader: %v", err)
		return true
	}
	defer cl.Close()
	at := map[Place]int64{}
	misled := false
	for ctx.Err() == nil && !misled && (ends == nil || !reached(at, ends)) {
		fetches := cl.PollFetches(ctx)
		fetches.EachRecord(func(rec *kgo.Record) {
			to := Place{rec.Topic, rec.Partition}
			at[to] = rec.Offset + 1
			r.history.Saw(Read{
				Reader: name, Place: to, Offset: rec.Offset, Value: valueOf(rec), Key: keyOf(rec),
				Numbered: fmt.Sprint(rec.ProducerID, "/", rec.ProducerEpoch), Final: ends != nil,
			})
		})
		fetches.EachError(func(topic string, partition int32, err error) {
			if misled = misled || isGone(err); misled && ends != nil && r.plan.topic(topic).Retention == 0 {
				r.wrong("%s was told that what it had read of %s-%d is gone: %v", name, topic, partition, err)
			}
		})
	}
	return !misled
}

// valueOf is what its sender calls a record.
func valueOf(rec *kgo.Record) string {
	if len(rec.Headers) > 0 {
		return string(rec.Headers[0].Value)
	}
	return string(rec.Key)
}

// keyOf is the key of a record of a compacted topic.
func keyOf(rec *kgo.Record) string {
	if len(rec.Headers) > 0 {
		return string(rec.Key)
	}
	return ""
}

func reached(at, ends map[Place]int64) bool {
	for place, end := range ends {
		if at[place] < end {
			return false
		}
	}
	return true
}

// isGone reports whether a reader was told that what it has read is not there. A
// leader that has been replaced and does not know it yet says so of everything
// that its successor took, and this client believes it after a while. So does it
// with Kafka. Once all is healed nobody may say that.
func isGone(err error) bool {
	var loss *kgo.ErrDataLoss
	return errors.As(err, &loss) || errors.Is(err, kerr.OffsetOutOfRange)
}
