package groups

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// A relay is a request of a group on its way to the active coordinator and back.
type relay struct {
	groups  *Groups
	shard   *shard
	channel Channel
	client  *string // the client's id
	wire.Relay
}

// relay prepares to relay what a client asks of a group in a shard.
func (g *Groups) relay(s *shard, channel Channel, r *wire.Request) relay {
	return relay{groups: g, shard: s, channel: channel, client: r.ClientID, Relay: wire.Relay{
		Broker: g.cfg.ID, LeaderEpoch: s.epoch, ClientHost: hostOf(r.Conn.RemoteAddr()),
	}}
}

// hostOf writes a client's address as Kafka shows it: "/127.0.0.1".
func hostOf(addr net.Addr) string {
	host, _, err := net.SplitHostPort(addr.String())
	if err != nil {
		host = addr.String()
	}
	return "/" + host
}

// do has the active coordinator answer req. The answer is passed on once this broker has
// replayed what it shows, still leads, and breaks no promise. It tries until ctx or the leadership ends; the
// request may have been carried out then.
func (r relay) do(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if guard.LeadsBeforeAnswer.Holds() {
		defer context.AfterFunc(r.shard.ctx, cancel)()
	}
	r.shard.heardOf(req)
	env := kmsg.NewPtrEnvelopeRequest()
	env.RequestData = wire.AppendRequest(nil, wire.Header{ClientID: r.client}, req)[4:]
	wire.PutRelay(env, r.Relay)
	resp, err := r.channel.Do(ctx, env)
	if r.shard.ctx.Err() != nil && guard.LeadsBeforeAnswer.Holds() {
		return nil, r.shard.over()
	}
	if err != nil {
		// Not %w: clients of groups do not know the error of a channel that found nobody.
		return nil, fmt.Errorf("%w: %s", metadata.ErrCoordinatorNotAvailable, err.Error())
	}
	answer, shown, err := relayedAnswer(req, resp)
	if err != nil {
		return nil, err
	}
	replayed := func(im *metadata.Image) bool { return im.Offset() >= shown || !guard.ReplayBeforeAnswer.Holds() }
	if err := r.groups.cfg.Until(ctx, replayed); err != nil {
		return nil, fmt.Errorf("%w: replaying up to metadata offset %d: %w", metadata.ErrCoordinatorNotAvailable, shown, err)
	}
	if err := r.shard.settled(ctx); err != nil {
		return nil, err
	}
	if sync, ok := answer.(*kmsg.SyncGroupResponse); ok && sync.ErrorCode == 0 {
		err := r.shard.keepWord(ctx, req.(*kmsg.SyncGroupRequest))
		if r.shard.ctx.Err() != nil && guard.LeadsBeforeAnswer.Holds() {
			return nil, r.shard.over()
		}
		if err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// errOutOfPatience ends a relay that has taken too long.
var errOutOfPatience = errors.New("the active coordinator does not answer")

// doWithin is do that fails with errOutOfPatience after a while, unless that is 0.
func (r relay) doWithin(ctx context.Context, req kmsg.Request, patience time.Duration) (kmsg.Response, error) {
	if patience == 0 {
		return r.do(ctx, req)
	}
	within, cancel := context.WithTimeoutCause(ctx, patience, errOutOfPatience)
	defer cancel()
	resp, err := r.do(within, req)
	if err != nil && ctx.Err() == nil && errors.Is(context.Cause(within), errOutOfPatience) {
		return nil, errOutOfPatience
	}
	return resp, err
}

// relayedAnswer takes an answer out of its envelope, with the metadata offset that it shows.
func relayedAnswer(req kmsg.Request, resp kmsg.Response) (answer kmsg.Response, shown int64, err error) {
	env, ok := resp.(*kmsg.EnvelopeResponse)
	if !ok {
		return nil, 0, fmt.Errorf("%w: %T answers an envelope", metadata.ErrUnknownServer, resp)
	}
	if err := wire.Err(env.ErrorCode); err != nil {
		return nil, 0, fmt.Errorf("relaying %s: %w", kmsg.NameForKey(req.Key()), err)
	}
	if shown, err = wire.ShownUpTo(env); err != nil {
		return nil, 0, err
	}
	answer = req.ResponseKind()
	answer.SetVersion(req.GetVersion())
	if _, err := wire.DecodeResponse(env.ResponseData, answer); err != nil {
		return nil, 0, fmt.Errorf("%w: a relayed answer: %w", metadata.ErrUnknownServer, err)
	}
	return answer, shown, nil
}
