package broker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// A session is the broker's standing with the coordinator: its registration and
// the heartbeats that keep it alive. It has a connection of its own, because the
// coordinator reads that connection's end as news of the broker's process. It
// has no goroutine but the one that calls run.
type session struct {
	cfg       Config
	channel   *coordinatorChannel
	process   metadata.UUID // the incarnation id: one for each start of the broker
	directory metadata.UUID
	previous  int64                   // epoch to present when registering, -1 for none
	before    int64                   // newest epoch that an earlier process had, -1 for none
	remember  func(epoch int64) error // stores and syncs the epoch
	images    *images                 // what the broker has applied of the metadata log
	epoch     *atomic.Int64           // of the newest registration; set by register

	wantShutdown atomic.Bool   // leaderships should move away
	fenced       atomic.Bool   // as of the last answer
	registered   chan struct{} // closed by the first registration
	hurry        chan struct{} // one slot: a heartbeat is due now
	mayStop      chan struct{} // closed when the coordinator has let go of a broker that wants to shut down
}

func newSession(cfg Config, channel *coordinatorChannel, epoch *atomic.Int64, im *images, remember func(int64) error) *session {
	s := &session{
		cfg: cfg, channel: channel, process: newUUID(), previous: -1, before: -1, epoch: epoch, remember: remember,
		images: im, registered: make(chan struct{}), hurry: make(chan struct{}, 1), mayStop: make(chan struct{}),
	}
	s.fenced.Store(true)
	return s
}

// run keeps the broker registered until ctx ends. An error means that it never
// can be.
func (s *session) run(ctx context.Context) error {
	for {
		if err := s.register(ctx); err != nil {
			return err
		}
		if err := s.beat(ctx); err != nil {
			return err
		}
	}
}

// register obtains a broker epoch and stores it before anything is done under it.
// A process that asks twice, because an answer was lost, gets the same epoch twice.
func (s *session) register(ctx context.Context) error {
	known := max(s.epoch.Load(), s.before, s.applied())
	resp, err := s.admitted(ctx)
	if err != nil {
		return err
	}
	if resp.BrokerEpoch <= known && !s.isRegistered(resp.BrokerEpoch) {
		// An epoch is the offset of a new entry in the metadata log.
		return fmt.Errorf("registered at metadata offset %d, although this broker knows the log up to %d: %w",
			resp.BrokerEpoch, known, errLogLost)
	}
	if err := s.remember(resp.BrokerEpoch); err != nil {
		return err
	}
	s.previous = resp.BrokerEpoch
	s.epoch.Store(resp.BrokerEpoch)
	s.fenced.Store(true)
	closeOnce(s.registered)
	s.cfg.Logger.Info("registered", "epoch", resp.BrokerEpoch)
	return nil
}

// applied is the newest metadata offset that the broker has applied.
func (s *session) applied() int64 { return s.images.published.Load().Offset() }

// isRegistered reports whether the metadata log that the broker has applied has this process under that
// epoch: an earlier request of it was carried out late, after that of a process before it.
func (s *session) isRegistered(epoch int64) bool {
	b, ok := s.images.published.Load().Broker(s.cfg.ID)
	return ok && b.Epoch == epoch && b.Incarnation == s.process
}

// errLogLost says that the coordinator nodes are not those that this broker knew.
// To follow them would be to delete every topic that they have not heard of.
var errLogLost = fmt.Errorf("%w: the coordinator nodes have lost their log, or are another cluster's", metadata.ErrInconsistentClusterID)

// admitted asks until the coordinator has registered the broker. While another
// process lives under the same id it asks again, for a few sessions: a process
// that died in silence has been given up by then.
func (s *session) admitted(ctx context.Context) (*kmsg.BrokerRegistrationResponse, error) {
	var refused time.Time
	for {
		resp, err := s.channel.Do(ctx, s.request())
		if err != nil {
			return nil, err
		}
		answer, ok := resp.(*kmsg.BrokerRegistrationResponse)
		if !ok {
			return nil, fmt.Errorf("%w: %T answers a registration", metadata.ErrUnknownServer, resp)
		}
		err = wire.Err(answer.ErrorCode)
		switch now := time.Now(); {
		case err == nil:
			return answer, nil
		case !errors.Is(err, metadata.ErrDuplicateBrokerRegistration):
			return nil, fmt.Errorf("registering broker %d: %w", s.cfg.ID, err)
		case refused.IsZero():
			refused = now
			s.cfg.Logger.Info("another process is registered under this id; trying again", "id", s.cfg.ID)
		case now.Sub(refused) > 5*s.cfg.Config.SessionTimeout:
			return nil, fmt.Errorf("registering broker %d: %w: another broker with this id is running", s.cfg.ID, err)
		}
		if err := sleep(ctx, s.cfg.Config.HeartbeatInterval/4); err != nil {
			return nil, err
		}
		if err := s.cfg.Gate.Pass(); err != nil {
			return nil, err
		}
	}
}

func (s *session) request() *kmsg.BrokerRegistrationRequest {
	req := kmsg.NewPtrBrokerRegistrationRequest()
	req.Version = 4
	req.BrokerID = s.cfg.ID
	req.ClusterID = s.cfg.ClusterID
	req.IncarnationID = s.process
	req.LogDirs = [][16]byte{s.directory}
	req.PreviousBrokerEpoch = s.previous
	if s.cfg.Rack != "" {
		req.Rack = &s.cfg.Rack
	}
	for _, l := range s.cfg.Listeners {
		listener := kmsg.NewBrokerRegistrationRequestListener()
		listener.Name, listener.Host, listener.Port = l.Name, l.Host, uint16(l.Port)
		req.Listeners = append(req.Listeners, listener)
	}
	return req
}
