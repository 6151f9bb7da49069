package broker

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/network"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// A scripted coordinator node answers heartbeats with one error code, or not at all.
type scripted struct {
	code   atomic.Int32
	silent atomic.Bool
	asked  atomic.Int32
	server *wire.Server
}

func (s *scripted) Handle(ctx context.Context, r *wire.Request) wire.Reply {
	s.asked.Add(1)
	if s.silent.Load() {
		<-ctx.Done()
	}
	resp := r.Body.ResponseKind().(*kmsg.BrokerHeartbeatResponse)
	resp.ErrorCode = int16(s.code.Load())
	return wire.Reply{Response: resp}
}

const notController = 41

// withChannel runs f with a channel to three scripted nodes; the first is active.
func withChannel(t *testing.T, f func(t *testing.T, c *coordinatorChannel, net *network.Network, nodes []*scripted)) {
	synctest.Test(t, func(t *testing.T) {
		net := network.New(1)
		defer net.Close()
		var nodes []*scripted
		var addrs []string
		for id := int32(1); id <= 3; id++ {
			s := &scripted{}
			if id > 1 {
				s.code.Store(notController)
			}
			addr := event.CoordinatorNode(id) + ":9090"
			l, err := net.Host(event.CoordinatorNode(id)).Listen(addr, true)
			require.NoError(t, err)
			s.server = wire.NewServer(wire.ServerConfig{Listener: l, Handler: s, MaxRequestBytes: 1 << 20,
				Versions: func(int16) (int16, int16, bool) { return 0, 2, true }})
			go s.server.Serve()
			defer s.server.Close()
			nodes, addrs = append(nodes, s), append(addrs, addr)
		}
		config := Config{ID: 1, Dial: net.Host("broker-1").DialContext, Seed: 1}
		c := newCoordinatorChannel(config, newQuorum(addrs), 1, 500*time.Millisecond)
		defer c.Close()
		f(t, c, net, nodes)
	})
}

// do sends one heartbeat and returns how long it took.
func do(t *testing.T, c *coordinatorChannel) time.Duration {
	t.Helper()
	began := time.Now()
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.Version = 1
	resp, err := c.Do(t.Context(), req)
	require.NoError(t, err)
	require.Zero(t, resp.(*kmsg.BrokerHeartbeatResponse).ErrorCode)
	return time.Since(began)
}

func asked(nodes []*scripted) (n [3]int32) {
	for i, s := range nodes {
		n[i] = s.asked.Load()
	}
	return n
}

func TestChannelFindsTheActiveNodeAndRemembersIt(t *testing.T) {
	withChannel(t, func(t *testing.T, c *coordinatorChannel, _ *network.Network, nodes []*scripted) {
		nodes[0].code.Store(notController)
		nodes[2].code.Store(0)
		require.Zero(t, do(t, c))
		require.Equal(t, [3]int32{1, 1, 1}, asked(nodes))
		require.Zero(t, do(t, c))
		require.Equal(t, [3]int32{1, 1, 2}, asked(nodes))
	})
}

func TestChannelGoesRoundUntilThereIsAnActiveNode(t *testing.T) {
	withChannel(t, func(t *testing.T, c *coordinatorChannel, _ *network.Network, nodes []*scripted) {
		nodes[0].code.Store(notController)
		time.AfterFunc(time.Second, func() { nodes[1].code.Store(0) })
		took := do(t, c)
		require.GreaterOrEqual(t, took, time.Second)
		require.Less(t, took, time.Second+50*time.Millisecond)
		require.Less(t, nodes[0].asked.Load(), int32(60), "it pauses between rounds")
	})
}

func TestChannelPassesRefusalsAtOnce(t *testing.T) {
	withChannel(t, func(t *testing.T, c *coordinatorChannel, net *network.Network, nodes []*scripted) {
		do(t, c)
		net.Host("coordinator-1").Kill()
		nodes[1].code.Store(0)
		require.Zero(t, do(t, c))
	})
}

// A node that is cut off or paused costs its time once, not at every request.
func TestChannelPassesSilence(t *testing.T) {
	for _, how := range []string{"cut", "no answer"} {
		t.Run(how, func(t *testing.T) {
			withChannel(t, func(t *testing.T, c *coordinatorChannel, net *network.Network, nodes []*scripted) {
				do(t, c)
				if how == "cut" {
					net.Cut([]string{"broker-1"}, []string{"coordinator-1"})
				} else {
					nodes[0].silent.Store(true)
				}
				nodes[1].code.Store(0)
				require.Equal(t, 500*time.Millisecond, do(t, c))
				require.Zero(t, do(t, c))
			})
		})
	}
}

// An active node that was slow once is asked again within the same session: to
// pass it over for longer would end the session of a live broker.
func TestChannelComesBackToANodeThatWasSilent(t *testing.T) {
	withChannel(t, func(t *testing.T, c *coordinatorChannel, _ *network.Network, nodes []*scripted) {
		do(t, c)
		nodes[0].silent.Store(true)
		time.AfterFunc(600*time.Millisecond, func() { nodes[0].silent.Store(false) })
		require.Less(t, do(t, c), 750*time.Millisecond)
		require.Zero(t, do(t, c))
	})
}

// What one channel learns makes the others stop waiting for the old node.
func TestChannelStopsWaitingWhenAnotherNodeIsActive(t *testing.T) {
	withChannel(t, func(t *testing.T, c *coordinatorChannel, _ *network.Network, nodes []*scripted) {
		nodes[0].silent.Store(true)
		nodes[1].code.Store(0)
		time.AfterFunc(100*time.Millisecond, func() { c.quorum.answered(1) })
		require.Equal(t, 100*time.Millisecond, do(t, c))
	})
}

func TestChannelGivesUpWithItsContext(t *testing.T) {
	withChannel(t, func(t *testing.T, c *coordinatorChannel, _ *network.Network, nodes []*scripted) {
		nodes[0].code.Store(notController)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req := kmsg.NewPtrBrokerHeartbeatRequest()
		_, err := c.Do(ctx, req)
		require.ErrorIs(t, err, metadata.ErrBrokerNotAvailable)
		require.ErrorIs(t, err, metadata.ErrNotController)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
}
