package story

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
)

// A Reader follows the topic from its beginning and enters what it sees into the
// ledger.
type Reader struct {
	client *kgo.Client
	ledger *Ledger

	stop context.CancelFunc
	wg   sync.WaitGroup
}

// NewReader starts one goroutine that reads until Close.
func NewReader(c *brokersim.Cluster, ledger *Ledger) (*Reader, error) {
	client, err := NewClient(c, kgo.ConsumeTopics(Topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &Reader{client: client, ledger: ledger, stop: cancel}
	r.wg.Go(func() {
		for ctx.Err() == nil {
			r.client.PollFetches(ctx).EachRecord(r.enter)
		}
	})
	return r, nil
}

func (r *Reader) enter(rec *kgo.Record) { r.ledger.Read(string(rec.Key), rec.Partition, rec.Offset) }

// Close stops reading.
func (r *Reader) Close() {
	r.stop()
	r.wg.Wait()
	r.client.Close()
}

// ReadAll reads the topic from its beginning to where its partitions end now,
// and enters it into the ledger.
func ReadAll(ctx context.Context, c *brokersim.Cluster, ledger *Ledger) error {
	client, err := NewClient(c, kgo.ConsumeTopics(Topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		return err
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(ctx, Topic)
	if err = errors.Join(err, ends.Error()); err != nil {
		return fmt.Errorf("asking where %s ends: %w", Topic, err)
	}
	left := map[int32]int64{}
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			left[o.Partition] = o.Offset
		}
	})
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil {
			return fmt.Errorf("reading %s back: %w; still to read up to: %v", Topic, ctx.Err(), left)
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			ledger.Read(string(rec.Key), rec.Partition, rec.Offset)
			if rec.Offset+1 >= left[rec.Partition] {
				delete(left, rec.Partition)
			}
		})
	}
	return nil
}
