package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestWrongCommandLinesGetOneClearLineAndStatusTwo(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	port := strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)

	for _, c := range []struct {
		args string
		says string
	}{
		{"up --port " + port + " -n 1", port},
		{"up -n 0", "broker"},
		{"up -n many", "many"},
		{"up --coordinators 2", "1, 3 or 5"},
		{"up -t orders", "name:partitions:replicas"},
		{"up -t orders:x:2", `"x" is no number of partitions`},
		{"up -t orders:3:y", `"y" is no number of replicas`},
		{"up -t orders:3:9", "orders"},
		{"up -t or/ders:3:1", "or/ders"},
		{"up -c retention", "retention"},
		{"up -c no.such.config=1", "no.such.config"},
		{"up -c num.partitions=few", "few"},
		{"up --timescale 0", "imescale"},
		{"up --listen 192.0.2.1", "192.0.2.1"},
		{"up --port 70000", "70000"},
		{"up --data-dir /dev/null", "/dev/null"},
		{"up --nonsense", "--nonsense"},
		{"up now", "now"},
		{"down", "down"},
	} {
		t.Run(c.args, func(t *testing.T) {
			var out, errs bytes.Buffer
			status := execute(t.Context(), strings.Fields(c.args), &out, &errs)
			require.Equal(t, 2, status, errs.String())
			require.Equal(t, 1, strings.Count(errs.String(), "\n"), "one line: %s", errs.String())
			require.Contains(t, errs.String(), c.says)
			require.Equal(t, 1, strings.Count(errs.String(), "brokersim: "), "%s", errs.String())
			require.Empty(t, out.String())
		})
	}
}

func TestUpServesClientsUntilItIsInterrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out := &pipe{lines: make(chan string, 1000)}
	var errs bytes.Buffer
	status := make(chan int, 1)
	port := freePorts(t, 3)
	go func() {
		status <- execute(ctx, strings.Fields(fmt.Sprintf("up --port %d -t orders:3:2", port)), out, &errs)
	}()

	first := out.next(t)
	require.True(t, strings.HasPrefix(first, "bootstrap servers: "), first)
	client, err := kgo.NewClient(kgo.SeedBrokers(strings.Split(strings.TrimPrefix(first, "bootstrap servers: "), ",")...))
	require.NoError(t, err)
	defer client.Close()
	topics, err := kadm.NewClient(client).ListTopics(t.Context(), "orders")
	require.NoError(t, err)
	require.Len(t, topics["orders"].Partitions, 3)
	require.NoError(t, client.ProduceSync(t.Context(), &kgo.Record{Topic: "orders", Value: []byte("x")}).FirstErr())

	interrupt()
	require.Equal(t, 0, <-status, errs.String())
	require.Contains(t, out.String(), "orders")
}

// freePorts returns the first of n neighbouring ports that are free just now.
func freePorts(t *testing.T, n int) int {
	for port := 21000; port < 32000; port += n {
		var held []net.Listener
		for i := range n {
			if l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+i)); err == nil {
				held = append(held, l)
			}
		}
		for _, l := range held {
			l.Close()
		}
		if len(held) == n {
			return port
		}
	}
	require.FailNow(t, "no free ports")
	return 0
}

// A pipe hands on what is written to it line by line.
type pipe struct {
	mu    sync.Mutex
	all   bytes.Buffer
	rest  string
	lines chan string
}

func (p *pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all.Write(b)
	p.rest += string(b)
	for {
		line, rest, ok := strings.Cut(p.rest, "\n")
		if !ok {
			return len(b), nil
		}
		p.rest = rest
		p.lines <- line
	}
}

func (p *pipe) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.all.String()
}

func (p *pipe) next(t *testing.T) string {
	select {
	case line := <-p.lines:
		return line
	case <-time.After(20 * time.Second):
		require.FailNow(t, "nothing was printed")
		return ""
	}
}
