package kafka

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
)

// A compacted log reads in Kafka's code as it does in ours, and its indexes lead where
// they should.
func TestDumpCompacted(t *testing.T) {
	kafka(t)
	dir := t.TempDir()
	c, err := brokersim.New(t.Context(), brokersim.DataDir(dir), brokersim.Brokers(1), brokersim.Coordinators(1),
		brokersim.BrokerConfig("log.cleaner.backoff.ms=50"),
		brokersim.Topic("keyed", 1, 1, append(small, "cleanup.policy=compact", "min.cleanable.dirty.ratio=0.01")...))
	if err != nil {
		t.Skipf("there is no compaction yet: %v", err)
	}
	defer c.Close()
	acked, log := new(ledger), filepath.Join(dir, "broker-1", "keyed-0")
	w := writer{t, c, acked.note}
	for round := range 3 { // a producer each, so that the last batch of one may lose all its records
		w.with([]kgo.Opt{kgo.ProducerBatchCompression(kgo.NoCompression(), kgo.Lz4Compression())}, func(cl *kgo.Client) {
			for b := range 100 {
				w.batch(cl, "keyed", 3, func(n int) *kgo.Record {
					r := &kgo.Record{Key: fmt.Append(nil, "k", (b+n)%10), Value: fmt.Append(nil, "round ", round, " batch ", b)}
					if b == 50 && n == 0 {
						r.Key, r.Value = fmt.Append(nil, "gone", round), nil
					}
					return r
				})
			}
		})
		w.until("the cleaner was there", func() bool { return written(log) < 12_000 })
	}
	require.NoError(t, c.Close())

	out, complaints := dumpTool(t, files(t, dir, ".log"), "--deep-iteration", "--print-data-log")
	require.Empty(t, slices.DeleteFunc(complaints, func(s string) bool { return strings.HasPrefix(s, "Non-consecutive offsets in") }), "gaps are no fault")
	require.Contains(t, out, "deleteHorizonMs: OptionalLong[")
	for _, flag := range []string{"--verify-index-only", "--index-sanity-check"} {
		_, complaints = dumpTool(t, files(t, dir, ".index", ".timeindex"), flag)
		require.Empty(t, complaints)
	}
	last := map[string]string{}
	for _, r := range acked.since("keyed", 0) {
		last[string(r.Key)] = fmt.Sprint(r.Offset, string(r.Value))
	}
	crashed := copies(t, []string{log})
	clean, anew := openWithKafka(t, "clean", "read", []string{log})[0], openWithKafka(t, "unclean", "read", crashed)[0]
	for _, found := range []opened{clean, anew} {
		// Not by time: Kafka looks into the first segment that a batch says is new enough,
		// and nowhere else, also if the cleaner has emptied that batch.
		found.Lookups = nil
		found.Producers = nil
		require.Equal(t, ours(t, log, found), found)
		require.Less(t, len(found.Records), 600)
		kept := map[string]string{}
		for _, r := range found.Records {
			kept[*r.Key] = fmt.Sprint(r.Offset, value(r)) // a later one replaces it
		}
		require.Equal(t, last, kept, "the newest of each key is there")
	}
}

func value(r openedRecord) string {
	if r.Value == nil {
		return ""
	}
	return *r.Value
}

// written is how many bytes the batches of a log take.
func written(log string) (n int64) {
	segments, _ := filepath.Glob(filepath.Join(log, "*.log"))
	for _, s := range segments {
		if info, err := os.Stat(s); err == nil {
			n += info.Size()
		}
	}
	return n
}
