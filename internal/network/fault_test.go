package network

import (
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/gate"
)

// bubble runs f on a fresh network in virtual time.
func bubble(t *testing.T, f func(t *testing.T, n *Network)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := New(1)
		defer n.Close()
		f(t, n)
	})
}

// arrivals reads c to its end and notes when what came.
type arrivals struct {
	mu   sync.Mutex
	came []arrived
	err  error
}

type arrived struct {
	what  string
	after time.Duration
}

func watch(c net.Conn) *arrivals {
	a, began := &arrivals{}, time.Now()
	go func() {
		buf := make([]byte, 1<<20)
		for {
			n, err := c.Read(buf)
			a.mu.Lock()
			if n > 0 {
				a.came = append(a.came, arrived{string(buf[:n]), time.Since(began)})
			}
			if err != nil {
				a.err = err
				a.came = append(a.came, arrived{"end", time.Since(began)})
				a.mu.Unlock()
				return
			}
			a.mu.Unlock()
		}
	}()
	return a
}

func (a *arrivals) list() []arrived {
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.came
}

func (a *arrivals) end() error {
	synctest.Wait()
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.err
}

func say(t *testing.T, c net.Conn, what string) {
	t.Helper()
	_, err := c.Write([]byte(what))
	require.NoError(t, err)
}

var clients, broker = []string{Clients}, []string{"broker-1"}

func TestCutHoldsAndHealDelivers(t *testing.T) {
	bubble(t, func(t *testing.T, n *Network) {
		client, server := pairOn(t, n, "memory")
		atServer, atClient := watch(server), watch(client)
		heal := n.Cut(clients, broker)
		say(t, client, "hello")
		say(t, server, "you")
		client.Close() // the end of the stream is held too
		time.Sleep(time.Minute)
		require.Empty(t, atServer.list())
		heal()
		heal()
		require.Equal(t, []arrived{{"hello", time.Minute}, {"end", time.Minute}}, atServer.list())
		require.Equal(t, io.EOF, atServer.end())
		require.ErrorIs(t, atClient.end(), net.ErrClosed)
	})
}

func TestOneWayCutsOneWay(t *testing.T) {
	bubble(t, func(t *testing.T, n *Network) {
		client, server := pairOn(t, n, "memory")
		atServer, atClient := watch(server), watch(client)
		heal := n.OneWay(broker, clients)
		say(t, client, "hello")
		say(t, server, "you")
		time.Sleep(time.Second)
		require.Len(t, atServer.list(), 1)
		require.Empty(t, atClient.list())
		heal()
		require.Len(t, atClient.list(), 1)
	})
}

func TestCutsOverlap(t *testing.T) {
	bubble(t, func(t *testing.T, n *Network) {
		client, server := pairOn(t, n, "memory")
		atServer := watch(server)
		first, second := n.Cut(clients, broker), n.Cut(broker, clients)
		say(t, client, "hello")
		first()
		first() // healing twice does not take back the other one
		require.Empty(t, atServer.list())
		second()
		require.Len(t, atServer.list(), 1)
	})
}

func TestAFullPipeMakesItsWriterWaitThroughACut(t *testing.T) {
	bubble(t, func(t *testing.T, n *Network) {
		client, server := pairOn(t, n, "memory")
		heal := n.Cut(clients, broker)
		written := make(chan int)
		go func() {
			m, _ := client.Write(make([]byte, 3*pipeLimit))
			written <- m
		}()
		synctest.Wait()
		select {
		case <-written:
			require.Fail(t, "the network keeps more than its limit")
		default:
		}
		heal()
		go io.Copy(io.Discard, server)
		require.Equal(t, 3*pipeLimit, <-written)
	})
}

func TestLatencyKeepsTheOrder(t *testing.T) {
	bubble(t, func(t *testing.T, n *Network) {
		client, server := pairOn(t, n, "memory")
		heal := n.Latency(clients, broker, 100*time.Millisecond, 50*time.Millisecond)
		got := watch(server)
		want := ""
		for i := range 100 {
			say(t, client, string(rune('A'+i%26)))
			want += string(rune('A' + i%26))
			time.Sleep(time.Millisecond)
		}
		client.Close()
		time.Sleep(time.Second)
		all := ""
		for i, a := range got.list() {
			if a.what != "end" {
				all += a.what
			}
			if i == 0 {
				require.GreaterOrEqual(t, a.after, 100*time.Millisecond)
				require.Less(t, a.after, 150*time.Millisecond)
			}
		}
		require.Equal(t, want, all)
		require.Greater(t, len(got.list()), 10, "not all at the end")

		began := time.Now()
		c, err := n.Host(Clients).DialContext(t.Context(), "tcp", "broker-1:9092")
		require.NoError(t, err)
		require.GreaterOrEqual(t, time.Since(began), 200*time.Millisecond, "a dial is a round trip")
		heal()
		began = time.Now()
		c.Close()
		_, err = n.Host(Clients).DialContext(t.Context(), "tcp", "broker-1:9092")
		require.NoError(t, err)
		require.Zero(t, time.Since(began))
	})
}

func TestHealedLatencyDeliversWhatIsUnderWay(t *testing.T) {
	bubble(t, func(t *testing.T, n *Network) {
		client, server := pairOn(t, n, "memory")
		got := watch(server)
		heal := n.Latency(clients, broker, time.Hour, 0)
		say(t, client, "late")
		time.Sleep(time.Second)
		require.Empty(t, got.list())
		heal()
		require.Equal(t, []arrived{{"late", time.Second}}, got.list())
	})
}

func TestBandwidthIsSharedByTheLink(t *testing.T) {
	bubble(t, func(t *testing.T, n *Network) {
		n.Bandwidth(clients, broker, 1<<20)
		began := time.Now()
		var wg sync.WaitGroup
		broker := n.Host("broker-1")
		l, err := broker.Listen("broker-1:9092", false)
		require.NoError(t, err)
		for range 2 {
			c, err := n.Host(Clients).DialContext(t.Context(), "tcp", "broker-1:9092")
			require.NoError(t, err)
			s, err := l.Accept()
			require.NoError(t, err)
			wg.Go(func() {
				c.Write(make([]byte, 2<<20))
				c.Close()
			})
			wg.Go(func() { io.Copy(io.Discard, s) })
		}
		wg.Wait()
		require.InDelta(t, 4, time.Since(began).Seconds(), 0.01)
	})
}

func TestLossResetsAndItsSeedDecides(t *testing.T) {
	lives := func(t *testing.T) (lived time.Duration) {
		bubble(t, func(t *testing.T, n *Network) {
			client, server := pairOn(t, n, "memory")
			heal := n.Loss(clients, broker, 0.5)
			began := time.Now()
			_, err := server.Read(make([]byte, 1))
			require.ErrorIs(t, err, syscall.ECONNRESET)
			_, err = client.Write([]byte("x"))
			require.ErrorIs(t, err, syscall.ECONNRESET)
			lived = time.Since(began)
			heal()
			heal()
		})
		return lived
	}
	first := lives(t)
	require.Equal(t, first, lives(t))
	require.Positive(t, first)
	require.Less(t, first, time.Minute)
}

func TestKill(t *testing.T) {
	for _, transport := range []string{"memory", "tcp"} {
		t.Run(transport, func(t *testing.T) {
			n := New(1)
			defer n.Close()
			client, server := pairOn(t, n, transport)
			address := server.LocalAddr().String()
			h := n.Host("broker-1")
			h.Kill()
			_, err := client.Read(make([]byte, 1))
			require.ErrorIs(t, err, syscall.ECONNRESET)
			_, err = server.Read(make([]byte, 1))
			require.ErrorIs(t, err, syscall.ECONNRESET)
			_, err = n.Host(Clients).DialContext(t.Context(), "tcp", address)
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			_, err = h.Listen("broker-1:9092", true)
			require.ErrorIs(t, err, net.ErrClosed, "a dead host does not listen")

			for range 20 { // at once, on the same address
				h.Revive()
				var l net.Listener
				if transport == "tcp" {
					l, err = h.ListenTCP(address)
				} else {
					l, err = h.Listen(address, true)
				}
				require.NoError(t, err)
				c, err := n.Host(Clients).DialContext(t.Context(), "tcp", address)
				require.NoError(t, err)
				s, err := l.Accept()
				require.NoError(t, err)
				_, err = s.Write([]byte("x"))
				require.NoError(t, err)
				_, err = c.Read(make([]byte, 1))
				require.NoError(t, err)
				h.Kill()
				_, err = l.Accept()
				require.ErrorIs(t, err, net.ErrClosed)
				c.Close()
			}
		})
	}
}

func TestAResetBehindACutIsHeldToo(t *testing.T) {
	bubble(t, func(t *testing.T, n *Network) {
		client, _ := pairOn(t, n, "memory")
		got := watch(client)
		heal := n.Cut(clients, broker)
		n.Host("broker-1").Kill()
		time.Sleep(time.Minute)
		require.Empty(t, got.list())
		heal()
		require.ErrorIs(t, got.end(), syscall.ECONNRESET)
	})
}

func TestPowerOffIsSilent(t *testing.T) {
	bubble(t, func(t *testing.T, n *Network) {
		client, server := pairOn(t, n, "memory")
		h := n.Host("broker-1")
		g := gate.New()
		h.Attach(g)
		got := watch(client)
		h.PowerOff()
		g.Shut()
		_, err := server.Read(make([]byte, 1))
		require.ErrorIs(t, err, net.ErrClosed)
		server.Close()
		say(t, client, "anybody there?")
		time.Sleep(time.Hour)
		require.Empty(t, got.list())

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err = n.Host(Clients).DialContext(ctx, "tcp", "broker-1:9092")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(began))
		_, err = n.Host(Clients).DialContext(t.Context(), "tcp", "broker-1:9092")
		require.ErrorIs(t, err, syscall.ETIMEDOUT)

		h.Revive()
		require.ErrorIs(t, got.end(), syscall.ECONNRESET)
		_, err = n.Host(Clients).DialContext(t.Context(), "tcp", "broker-1:9092")
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
	})
}

func TestAnEndedIncarnationTellsNobody(t *testing.T) {
	bubble(t, func(t *testing.T, n *Network) {
		h := n.Host("broker-1")
		g := gate.New()
		h.Attach(g)
		client, server := pairOn(t, n, "memory")
		got := watch(client)
		g.Shut()
		_, err := server.Write([]byte("x"))
		require.ErrorIs(t, err, gate.ErrShut)
		require.NoError(t, server.Close())
		time.Sleep(time.Minute)
		require.Empty(t, got.list(), "no EOF of somebody whose power is gone")
		h.PowerOff()
		time.Sleep(time.Minute)
		require.Empty(t, got.list())
		h.Revive()
		require.ErrorIs(t, got.end(), syscall.ECONNRESET)
	})
}

func TestPauseHoldsEveryByte(t *testing.T) {
	bubble(t, func(t *testing.T, n *Network) {
		h := n.Host("broker-1")
		g := gate.New()
		h.Attach(g)
		client, server := pairOn(t, n, "memory")
		atServer, atClient := watch(server), watch(client)
		var wrote atomic.Bool
		g.Pause()
		say(t, client, "hello")
		go func() {
			server.Write([]byte("you"))
			wrote.Store(true)
		}()
		c, err := n.Host(Clients).DialContext(t.Context(), "tcp", "broker-1:9092")
		require.NoError(t, err, "its kernel still accepts: it is not dead")
		defer c.Close()
		time.Sleep(time.Minute)
		require.Empty(t, atServer.list())
		require.Empty(t, atClient.list())
		require.False(t, wrote.Load())
		g.Resume()
		require.Equal(t, []arrived{{"hello", time.Minute}}, atServer.list())
		require.Equal(t, []arrived{{"you", time.Minute}}, atClient.list())
	})
}

func TestADialWaitsForTheHeal(t *testing.T) {
	bubble(t, func(t *testing.T, n *Network) {
		_, err := n.Host("broker-1").Listen("broker-1:9092", false)
		require.NoError(t, err)
		heal := n.OneWay(broker, clients) // the answer is lost
		time.AfterFunc(3*time.Second, heal)
		began := time.Now()
		c, err := n.Host(Clients).DialContext(t.Context(), "tcp", "broker-1:9092")
		require.NoError(t, err)
		require.Equal(t, 3*time.Second, time.Since(began))
		c.Close()
	})
}

func TestAFullAcceptQueueMakesDialsWait(t *testing.T) {
	bubble(t, func(t *testing.T, n *Network) {
		l, err := n.Host("broker-1").Listen("broker-1:9092", false)
		require.NoError(t, err)
		var open []net.Conn
		dial := func(d time.Duration) error {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			c, err := n.Host(Clients).DialContext(ctx, "tcp", "broker-1:9092")
			if err == nil {
				open = append(open, c)
			}
			return err
		}
		for range backlog {
			require.NoError(t, dial(time.Second))
		}
		require.ErrorIs(t, dial(time.Second), context.DeadlineExceeded)
		time.AfterFunc(time.Second, func() { l.Accept() })
		require.NoError(t, dial(time.Minute))
		require.NoError(t, l.Close())
		_, err = open[5].Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET, "nobody has accepted it, nobody will")
	})
}

func TestWrongAddresses(t *testing.T) {
	n := New(1)
	defer n.Close()
	h := n.Host("broker-1")
	for _, address := range []string{"", "broker-1", "broker-1:", ":9092", "broker-2:9092"} {
		_, err := h.Listen(address, false)
		require.Error(t, err, address)
	}
	_, err := h.Listen("broker-1:9092", false)
	require.NoError(t, err)
	_, err = h.Listen("broker-1:9092", false)
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	for _, address := range []string{"", "nowhere", "nowhere:1"} {
		_, err := h.DialContext(t.Context(), "tcp", address)
		require.Error(t, err, address)
	}
	_, err = h.DialContext(t.Context(), "tcp", "broker-1:1")
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
	require.NoError(t, n.Close())
	_, err = h.DialContext(t.Context(), "tcp", "broker-1:9092")
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = h.Listen("broker-1:9093", false)
	require.ErrorIs(t, err, net.ErrClosed)
	n.Cut(clients, broker)() // nothing to do, nothing breaks
}

func TestWhatHasArrivedOutlivesAReset(t *testing.T) {
	bubble(t, func(t *testing.T, n *Network) {
		client, server := pairOn(t, n, "memory")
		say(t, server, "arrived,")
		n.Latency(clients, broker, time.Second, 0)
		say(t, server, "under way")
		n.Host("broker-1").Kill()
		got := make([]byte, 100)
		m, err := client.Read(got)
		require.NoError(t, err)
		require.Equal(t, "arrived,", string(got[:m]))
		_, err = client.Read(got)
		require.ErrorIs(t, err, syscall.ECONNRESET)
	})
}
