package kafka

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim"
)

// A cluster that was closed leaves files that Kafka's tool has nothing to say against,
// on every broker, with all the records in them.
func TestDumpAfterAStop(t *testing.T) {
	kafka(t)
	dir := t.TempDir()
	c, err := brokersim.New(t.Context(), options(dir)...)
	require.NoError(t, err)
	defer c.Close()
	acked := new(ledger)
	writer{t, c, acked.note}.everything()
	starts := map[string]int64{}
	for _, p := range c.Snapshot().Partitions {
		for _, r := range p.Replicas {
			require.Equal(t, p.HighWatermark, r.LEO)
			starts[fmt.Sprintf("broker-%d/%s-%d", r.Broker, p.Topic, p.Partition)] = r.LogStart
		}
	}
	require.NoError(t, c.Close())
	require.Len(t, starts, 30)
	compare(t, dir, acked, starts)
}

// So does one whose process was killed while it wrote, and the next one that recovers
// what that has left.
func TestDumpAfterAKill(t *testing.T) {
	kafka(t)
	dir := t.TempDir()
	acked := killedChild(t, dir)
	compare(t, dir, acked, nil)

	c, err := brokersim.New(t.Context(), options(dir)...)
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.Wait(t.Context(), brokersim.FullISR()))
	require.NoError(t, c.Close())
	compare(t, dir, acked, nil)
}

// compare runs Kafka's tool over all files and looks for each record that was
// acknowledged in the log of each broker, from its log start on. starts is nil if it is
// not known: what retention took is then missing from the front.
func compare(t *testing.T, dir string, acked *ledger, starts map[string]int64) {
	t.Helper()
	logs, err := filepath.Glob(filepath.Join(dir, "broker-*", "*-0"))
	require.NoError(t, err)
	require.Len(t, logs, 30)
	all := dumpAll(t, dir)
	for _, log := range logs {
		name, err := filepath.Rel(dir, log)
		require.NoError(t, err)
		found := all[log]
		topic := strings.TrimSuffix(filepath.Base(log), "-0")
		start, ok := starts[name]
		if !ok && len(found) > 0 {
			start = found[0].offset
		}
		// Files may reach below the log start, until retention comes round.
		found = slices.DeleteFunc(found, func(r record) bool { return r.offset < start })
		require.True(t, start == 0 || topic == "short", "%s begins at %d", name, start)
		want := acked.since(topic, start)
		if topic != "empty" {
			require.NotEmpty(t, want, name)
		}
		if starts != nil {
			require.Len(t, found, len(want), name)
		}
		for i, r := range want { // offsets are dense
			require.Less(t, i, len(found), name)
			require.Equal(t, shown(r, found[i]), found[i], name)
		}
	}
}

// dumpAll lets the tool go over every file in every way that it knows, and returns the
// records by log.
func dumpAll(t *testing.T, dir string) map[string][]record {
	t.Helper()
	segments, indexes := files(t, dir, ".log"), files(t, dir, ".index", ".timeindex")
	require.Greater(t, len(segments), 100)
	require.Len(t, indexes, 2*len(segments))
	out, complaints := dumpTool(t, segments, "--deep-iteration", "--print-data-log")
	require.Empty(t, complaints)
	for _, flag := range []string{"--verify-index-only", "--index-sanity-check"} {
		out, complaints := dumpTool(t, indexes, flag)
		require.Empty(t, complaints, flag)
		require.Equal(t, len(indexes), strings.Count(out, "Dumping "))
	}
	if snapshots := files(t, dir, ".snapshot", ".txnindex"); len(snapshots) > 0 {
		_, complaints := dumpTool(t, snapshots)
		require.Empty(t, complaints)
	}
	logs, shown := map[string][]record{}, recordsIn(t, out)
	require.Len(t, shown, len(segments))
	for _, name := range segments { // sorted, so in the order of offsets
		logs[filepath.Dir(name)] = append(logs[filepath.Dir(name)], shown[name]...)
	}
	return logs
}

// files lists the files below dir that end in one of the suffixes, sorted.
func files(t *testing.T, dir string, suffixes ...string) (names []string) {
	t.Helper()
	for _, suffix := range suffixes {
		found, err := filepath.Glob(filepath.Join(dir, "broker-*", "*-0", "*"+suffix))
		require.NoError(t, err)
		names = append(names, found...)
	}
	slices.Sort(names)
	return names
}
