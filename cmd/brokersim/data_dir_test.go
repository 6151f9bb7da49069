package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"
)

// childArgs is the command line that a child process of the test below is to run.
const childArgs = "BROKERSIM_TEST_CHILD_ARGS"

// TestChildProcess is no test: it is the command, in a process that can be killed.
func TestChildProcess(t *testing.T) {
	args := os.Getenv(childArgs)
	if args == "" {
		t.Skip("it is started by TestDataDirKeepsEverything")
	}
	os.Exit(run(strings.Split(args, " "), os.Stdout, os.Stderr))
}

// command runs brokersim in a process of its own and returns once it serves.
func command(t *testing.T, args string) (child *exec.Cmd, servers []string) {
	t.Helper()
	child = exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChildProcess$")
	child.Env = append(os.Environ(), childArgs+"="+args)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if list, ok := strings.CutPrefix(lines.Text(), "bootstrap servers: "); ok {
			go func() {
				for lines.Scan() { // or it would block some day
				}
			}()
			return child, strings.Split(list, ",")
		}
	}
	require.FailNow(t, "it printed no bootstrap servers")
	return nil, nil
}

func TestDataDirKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	args := fmt.Sprintf("up --port %d --listen 127.0.0.1 --data-dir %s -t orders:1:3 -c min.insync.replicas=2", freePorts(t, 3), dir)
	var want []string
	for round, end := range []os.Signal{os.Kill, os.Interrupt, os.Kill} {
		child, servers := command(t, args)
		client, err := kgo.NewClient(kgo.SeedBrokers(servers...), kgo.DefaultProduceTopic("orders"), kgo.ProducerLinger(0),
			kgo.ConsumeTopics("orders"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		require.NoError(t, err)
		for i := range 20 {
			value := fmt.Sprintf("%d-%d", round, i)
			require.NoError(t, client.ProduceSync(t.Context(), kgo.StringRecord(value)).FirstErr())
			want = append(want, value)
		}
		require.Equal(t, want, readBack(t, client, len(want)))
		client.Close()

		var out, errs bytes.Buffer
		require.Equal(t, 2, execute(t.Context(), strings.Split(args, " "), &out, &errs), "it is in use")
		require.Contains(t, errs.String(), dir)
		require.Equal(t, 1, strings.Count(errs.String(), "\n"), errs.String())

		require.NoError(t, child.Process.Signal(end))
		err = child.Wait()
		require.Equal(t, end == os.Interrupt, err == nil, "%v", err)
	}
}

func readBack(t *testing.T, client *kgo.Client, n int) (values []string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for len(values) < n {
		fetches := client.PollFetches(ctx)
		require.NoError(t, fetches.Err0(), "after %d of %d records", len(values), n)
		fetches.EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	return values
}
