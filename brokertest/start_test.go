package brokertest

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim"
)

// fakeTB is another framework's test: it may fail without ours failing.
type fakeTB struct {
	testing.TB
	ctx      context.Context
	failed   bool
	said     []string
	cleanups []func()
	dir      string
}

func (f *fakeTB) Helper()                   {}
func (f *fakeTB) Name() string              { return "fake" }
func (f *fakeTB) Failed() bool              { return f.failed }
func (f *fakeTB) Cleanup(g func())          { f.cleanups = append(f.cleanups, g) }
func (f *fakeTB) Context() context.Context  { return f.ctx }
func (f *fakeTB) Output() io.Writer         { return io.Discard }
func (f *fakeTB) ArtifactDir() string       { return f.dir }
func (f *fakeTB) Logf(s string, a ...any)   { f.said = append(f.said, fmt.Sprintf(s, a...)) }
func (f *fakeTB) Fatalf(s string, a ...any) { f.failed = true; f.Logf(s, a...); runtime.Goexit() }

// run runs test with a fake TB, and its clean-up, as package testing would.
func run(t *testing.T, test func(tb TB)) *fakeTB {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	f := &fakeTB{ctx: ctx, dir: t.TempDir()}
	inGoroutine(func() { test(f) })
	cancel()
	for _, g := range slices.Backward(f.cleanups) {
		inGoroutine(g)
	}
	return f
}

func inGoroutine(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	<-done
}

func small(opts ...brokersim.Option) []brokersim.Option {
	return append(opts, brokersim.Brokers(1), brokersim.Coordinators(1))
}

func TestAPassingTestSaysNothing(t *testing.T) {
	var c *C
	f := run(t, func(tb TB) { c = Start(tb, small(brokersim.Topic("orders", 1, 1))...) })
	require.False(t, f.failed)
	require.Empty(t, f.said)
	require.Empty(t, c.Goroutines(), "the cluster is closed")
}

func TestAFailedTestTellsWhatHappened(t *testing.T) {
	f := run(t, func(tb TB) {
		c := Start(tb, small(brokersim.Topic("orders", 1, 1))...)
		_ = c.Broker(1).Kill()
		tb.Fatalf("it does not work")
	})
	require.True(t, f.failed)
	report := strings.Join(f.said, "\n")
	for _, want := range []string{"it does not work", "broker-1", "killed", "orders-0", "broker 1 is killed", "add -artifacts to go test"} {
		require.Contains(t, report, want)
	}
}

func TestWrongOptionsEndTheTest(t *testing.T) {
	f := run(t, func(tb TB) {
		Start(tb, brokersim.Brokers(-1))
		panic("not reached")
	})
	require.True(t, f.failed)
	require.Contains(t, f.said[0], "Brokers(-1)")
}

func TestMustNamesWhatWasMissing(t *testing.T) {
	Virtual(t, func(t *testing.T) {
		f := run(t, func(tb TB) {
			c := Start(tb, small(brokersim.Topic("orders", 1, 1))...)
			c.Must(brokersim.NoLeader("orders", 0))
		})
		require.True(t, f.failed)
		require.Contains(t, f.said[0], "waited 30s for orders-0 to lose its leader: broker 1 leads")
	})
}

func TestMethodsOfCEndTheTest(t *testing.T) {
	Virtual(t, func(t *testing.T) {
		for want, use := range map[string]func(*C){
			"there is no broker 7":         func(c *C) { c.Broker(7) },
			"there is no partition bills-": func(c *C) { c.Partition("bills", 0) },
			"bills-0 to exist":             func(c *C) { c.Leader("bills", 0) },
			"invalid replication factor":   func(c *C) { c.CreateTopic("bills", 1, 3) },
		} {
			f := run(t, func(tb TB) { use(Start(tb, small()...)) })
			require.True(t, f.failed)
			require.Contains(t, f.said[0], want)
		}
	})
}

// What a test leaves hurt is healed before it is judged.
func TestFaultsAreHealedAtTheEnd(t *testing.T) {
	Virtual(t, func(t *testing.T) {
		f := run(t, func(tb TB) {
			c := Start(tb, brokersim.Topic("orders", 1, 3))
			c.Leader("orders", 0).Isolate()
			c.Broker(2).Pause()
			c.Broker(3).Disk().Slow(time.Hour, time.Hour)
			c.Coordinator().Active().Pause()
		})
		require.False(t, f.failed, f.said)
	})
}

func TestBubbleIsNoticed(t *testing.T) {
	require.False(t, inBubble())
	Virtual(t, func(t *testing.T) { require.True(t, inBubble()) })
}

func TestLeaksAreFound(t *testing.T) {
	c, err := brokersim.New(t.Context(), small()...)
	require.NoError(t, err)
	require.NotEmpty(t, c.Goroutines(), "a running cluster has some, so the check can fail")
	require.NoError(t, c.Close())
	require.Empty(t, leaks(c))
}
