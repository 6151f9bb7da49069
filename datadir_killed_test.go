package brokersim_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/event"
)

func portOf(t *testing.T, addr string) int {
	t.Helper()
	_, text, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	port, err := strconv.Atoi(text)
	require.NoError(t, err)
	return port
}

// childDir names the directory that a child process of the test below is to use.
const childDir = "BROKERSIM_TEST_CHILD_DIR"

// TestChildProcess is no test: it is what the process does that will be killed. It prints
// the number of each record when it is acknowledged, for ever.
func TestChildProcess(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Skip("it is started by TestProcessKilled")
	}
	c, err := brokersim.New(context.Background(), brokersim.DataDir(dir), orders())
	require.NoError(t, err)
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...), kgo.DefaultProduceTopic("orders"), kgo.ProducerLinger(0))
	require.NoError(t, err)
	for i := 0; ; i++ {
		cl.Produce(context.Background(), kgo.StringRecord(strconv.Itoa(i)), func(r *kgo.Record, err error) {
			if err == nil {
				fmt.Printf("acked %s\n", r.Value)
			}
		})
		if i%10 == 0 {
			require.NoError(t, cl.Flush(context.Background()))
		}
	}
}

// Wherever the first start is cut off, the next one makes the cluster whole.
func TestProcessKilledWhileItStarts(t *testing.T) {
	for _, seen := range []string{
		"cluster.json", ".broker-1", "coordinator-1/raft.db", "coordinator-3/meta.properties", "broker-1/meta.properties", "broker-3/broker-epoch",
	} {
		t.Run(seen, func(t *testing.T) {
			dir := t.TempDir()
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChildProcess$")
			child.Env = append(os.Environ(), childDir+"="+dir)
			require.NoError(t, child.Start())
			require.Eventually(t, func() bool {
				_, err := os.Stat(filepath.Join(dir, seen))
				return err == nil
			}, 20*time.Second, 100*time.Microsecond)
			require.NoError(t, child.Process.Kill())
			require.Error(t, child.Wait())
			once(t, dir, func(t *testing.T, c *brokertest.C) {
				p := client(t, c, kgo.DefaultProduceTopic("orders"))
				produce(t, p, "a")
				c.Must(brokersim.Replicated("orders", 0, 1))
			}, orders())
		})
	}
}

// killAfter starts the child and kills it, without a warning, after n acks.
func killAfter(t *testing.T, dir string, n int, meanwhile func()) (acked []string) {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChildProcess$")
	child.Env = append(os.Environ(), childDir+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var value string
		if _, err := fmt.Sscanf(lines.Text(), "acked %s", &value); err != nil {
			continue
		}
		if acked = append(acked, value); len(acked) == n {
			meanwhile()
			require.NoError(t, child.Process.Kill())
		}
	}
	require.Error(t, child.Wait(), "it was killed")
	require.GreaterOrEqual(t, len(acked), n)
	return acked
}

// The process is killed in the middle of its work, twice: whatever was acknowledged is
// there, and the partition is back without anybody having to guess.
func TestProcessKilled(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		acked := killAfter(t, dir, 100, func() {
			_, err := brokersim.New(t.Context(), brokersim.DataDir(dir))
			require.ErrorContains(t, err, "it is in use by another cluster")
		})
		once(t, dir, func(t *testing.T, c *brokertest.C) {
			high := c.Partition("orders", 0).HighWatermark
			read := map[string]bool{}
			for _, v := range consume(t, c, "orders", int(high)) {
				read[v] = true
			}
			for _, v := range acked {
				require.True(t, read[v], "record %s was acknowledged and is lost", v)
			}
			for _, e := range told(t, c) {
				require.False(t, e.Kind == event.LeaderElected && e.Data["unclean"] == true, "%v", e)
			}
		}, orders())
	}
}
