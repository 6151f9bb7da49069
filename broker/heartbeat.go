package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// beat sends heartbeats until ctx ends (an error) or the coordinator knows this
// broker under another epoch (nil: register again). A broker that was
// merely fenced goes on: its heartbeats get it unfenced once it has caught up.
func (s *session) beat(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.hurry:
		case <-timer.C:
			if err := s.cfg.Gate.Pass(); err != nil {
				return err
			}
		}
		sent := time.Now()
		resp, err := s.channel.Do(ctx, s.heartbeat())
		if err != nil {
			return err
		}
		answer, ok := resp.(*kmsg.BrokerHeartbeatResponse)
		if !ok {
			return fmt.Errorf("%w: %T answers a heartbeat", metadata.ErrUnknownServer, resp)
		}
		if again, err := s.heard(answer); again || err != nil {
			return err
		}
		if !answer.IsFenced {
			s.channel.quorum.stand(sent)
		}
		timer.Reset(s.cfg.Config.HeartbeatInterval)
	}
}

func (s *session) heartbeat() *kmsg.BrokerHeartbeatRequest {
	req := kmsg.NewPtrBrokerHeartbeatRequest()
	req.Version = 1
	req.BrokerID = s.cfg.ID
	req.BrokerEpoch = s.epoch.Load()
	req.CurrentMetadataOffset = s.applied()
	req.WantFence = req.CurrentMetadataOffset < req.BrokerEpoch // its replicas are not made yet
	req.WantShutdown = s.wantShutdown.Load()
	return req
}

// heard takes in the answer to a heartbeat; again asks for a new registration.
func (s *session) heard(answer *kmsg.BrokerHeartbeatResponse) (again bool, err error) {
	err = wire.Err(answer.ErrorCode)
	switch {
	case err == nil:
	case errors.Is(err, metadata.ErrStaleBrokerEpoch):
		s.cfg.Logger.Info("registering again", "why", err)
		return true, nil
	case errors.Is(err, metadata.ErrBrokerIDNotRegistered):
		// A registration is replaced by newer ones, but never removed.
		return false, fmt.Errorf("%w: %w", err, errLogLost)
	case errors.Is(err, metadata.ErrInconsistentClusterID):
		return false, err
	default:
		s.cfg.Logger.Warn("heartbeat refused", "error", err)
		return false, nil
	}
	if was := s.fenced.Swap(answer.IsFenced); was != answer.IsFenced {
		s.cfg.Logger.Info("fencing changed", "fenced", answer.IsFenced)
	}
	if answer.ShouldShutdown && s.wantShutdown.Load() {
		closeOnce(s.mayStop)
	}
	return false, nil
}

// advanced tells the session that the broker has applied more metadata. While
// somebody waits for that, the next heartbeat should say so at once.
func (s *session) advanced(im *metadata.Image) {
	awaited := s.fenced.Load()
	for _, b := range im.Brokers() {
		awaited = awaited || b.ShuttingDown && !b.Fenced
	}
	if awaited {
		s.soon()
	}
}

// soon makes the next heartbeat due now.
func (s *session) soon() {
	select {
	case s.hurry <- struct{}{}:
	default:
	}
}

// closeOnce closes c if it is open. Only one goroutine may close it.
func closeOnce(c chan struct{}) {
	select {
	case <-c:
	default:
		close(c)
	}
}
