package broker

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/brokersim/brokersim/internal/vfs"
)

// How often the high watermarks are written: Kafka's
// replica.high.watermark.checkpoint.interval.ms.
const checkpointEvery = 5 * time.Second

// checkpoint writes the high watermarks and the log starts every few seconds until
// ctx ends.
func (b *Broker) checkpoint(ctx context.Context) error {
	var written offsetCheckpoint
	for {
		if err := sleep(ctx, checkpointEvery); err != nil {
			return err
		}
		if err := b.cfg.Gate.Pass(); err != nil {
			return err
		}
		if err := b.replicas.Keep(); err != nil {
			return err
		}
		now := b.replicas.highWatermarks()
		if maps.Equal(now, written) {
			continue
		}
		if err := b.writeCheckpoint(now); err != nil {
			b.fail(err)
			return err
		}
		written = now
	}
}

func (b *Broker) writeCheckpoint(c offsetCheckpoint) error {
	if err := vfs.WriteFileSynced(b.cfg.FS, highWatermarksFile, c.encode()); err != nil {
		return fmt.Errorf("writing %s: %w", highWatermarksFile, err)
	}
	return nil
}
