package broker

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/network"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// A registrar is an active coordinator that gives the same broker epoch to everybody.
type registrar int64

func (e registrar) Handle(_ context.Context, r *wire.Request) wire.Reply {
	resp := r.Body.ResponseKind().(*kmsg.BrokerRegistrationResponse)
	resp.BrokerEpoch = int64(e)
	return wire.Reply{Response: resp}
}

// withSession runs f with the session of broker 1, whose registration is answered with an epoch.
func withSession(t *testing.T, epoch int64, f func(t *testing.T, s *session)) {
	synctest.Test(t, func(t *testing.T) {
		world := network.New(1)
		defer world.Close()
		l, err := world.Host("coordinator-1").Listen("coordinator-1:9090", true)
		require.NoError(t, err)
		server := wire.NewServer(wire.ServerConfig{Listener: l, Handler: registrar(epoch), MaxRequestBytes: 1 << 20,
			Versions: func(int16) (int16, int16, bool) { return 0, 4, true }})
		go server.Serve()
		defer server.Close()
		cfg := Config{
			ID: 1, ClusterID: "c", Seed: 1, Logger: slog.New(slog.DiscardHandler),
			Dial: func(ctx context.Context, n, addr string) (net.Conn, error) {
				return world.Host("broker-1").DialContext(ctx, n, addr)
			},
		}
		c := newCoordinatorChannel(cfg, newQuorum([]string{"coordinator-1:9090"}), 1, 0)
		defer c.Close()
		f(t, newSession(cfg, c, new(atomic.Int64), newImages(metadata.NewImage("c")), func(int64) error { return nil }))
	})
}

// A registration is a new entry of the metadata log: an offset that the broker knows already is
// another log's.
func TestARegistrationInALogThatIsNotOurs(t *testing.T) {
	withSession(t, 63, func(t *testing.T, s *session) {
		s.images.publish(s.images.published.Load().Apply(63, nil))
		require.ErrorIs(t, s.register(t.Context()), errLogLost)
	})
	withSession(t, 63, func(t *testing.T, s *session) {
		other := metadata.Broker{ID: 1, Epoch: 63, Incarnation: metadata.UUID{1}}
		s.images.publish(s.images.published.Load().Apply(63, []metadata.Delta{metadata.BrokerRegistered{Broker: other}}))
		require.ErrorIs(t, s.register(t.Context()), errLogLost)
	})
}

// A coordinator that was paused carries out what had piled up: the broker's registration, that of its
// process before, and the broker's once more, under a newer epoch. When it asks again it is told of that,
// which is in the log that it has followed meanwhile.
func TestARegistrationThatWasCarriedOutLate(t *testing.T) {
	withSession(t, 63, func(t *testing.T, s *session) {
		s.epoch.Store(57)
		mine := metadata.Broker{ID: 1, Epoch: 63, Incarnation: s.process}
		s.images.publish(s.images.published.Load().Apply(63, []metadata.Delta{metadata.BrokerRegistered{Broker: mine}}))
		require.NoError(t, s.register(t.Context()))
		require.EqualValues(t, 63, s.epoch.Load())
	})
}
