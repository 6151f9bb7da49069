package groups

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/wire"
)

// keepAlive tells the active coordinator that members live who commit and may not
// heartbeat: a commit counts as a heartbeat. Of one that commits often it is told now and then.
// It has no goroutine but the one that calls run.
type keepAlive struct {
	send func(context.Context, sign) error
	wake chan struct{} // one slot

	mu      sync.Mutex // a leaf
	told    map[member]time.Time
	sweepAt int             // how many of them make it worth looking for those that were not heard of lately
	waiting map[member]sign // not told yet
}

type member struct{ group, id string }

// A sign is a sign of life of a member.
type sign struct {
	member
	shard      *shard
	instance   *string
	generation int32
}

// tellAtMost bounds how often a member's commits are told: twice in the shortest session
// that Kafka allows by default would do.
const tellAtMost = time.Second

// fewTold are remembered though they were not heard of lately.
const fewTold = 1000

func newKeepAlive(send func(context.Context, sign) error) *keepAlive {
	return &keepAlive{send: send, wake: make(chan struct{}, 1), told: map[member]time.Time{}, sweepAt: fewTold, waiting: map[member]sign{}}
}

// note takes a sign of life of a member whose session has that length; 0 if it is to be told
// in any case. It never waits.
func (k *keepAlive) note(s sign, session time.Duration, now time.Time) {
	every := min(tellAtMost, session/4)
	k.mu.Lock()
	defer k.mu.Unlock()
	if last, ok := k.told[s.member]; ok && now.Sub(last) < every {
		return
	}
	if len(k.told) > k.sweepAt {
		maps.DeleteFunc(k.told, func(_ member, at time.Time) bool { return now.Sub(at) >= tellAtMost })
		k.sweepAt = max(fewTold, 2*len(k.told))
	}
	k.told[s.member] = now
	k.waiting[s.member] = s
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// tellAgain is how soon the coordinator is told again what it did not take.
const tellAgain = 50 * time.Millisecond

// run tells until ctx ends. What the active coordinator does not take, since there is none or it cannot
// be reached, it is told again, as long as this broker is the group's: the next one gives
// every member a full session, but the same one may just have been out of reach.
func (k *keepAlive) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-k.wake:
		}
		for k.tell(ctx) != nil {
			if err := rest(ctx, tellAgain); err != nil {
				return err
			}
		}
	}
}

// tell tells all that waits. It ends with the first sign that nobody takes: the others would not
// be heard either.
func (k *keepAlive) tell(ctx context.Context) error {
	k.mu.Lock()
	waiting := slices.Collect(maps.Values(k.waiting))
	k.mu.Unlock()
	for _, s := range waiting {
		err := k.send(ctx, s)
		if err != nil && s.shard.ctx.Err() == nil {
			return err
		}
		k.mu.Lock()
		if k.waiting[s.member] == s {
			delete(k.waiting, s.member)
		}
		k.mu.Unlock()
	}
	return nil
}

// beat sends a heartbeat for a member. What the answer says is nobody's business.
func (g *Groups) beat(ctx context.Context, s sign) error {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Version = 4
	req.Group, req.MemberID, req.InstanceID, req.Generation = s.group, s.id, s.instance, s.generation
	ctx, cancel := context.WithTimeout(ctx, tellAtMost)
	defer cancel()
	r := relay{groups: g, shard: s.shard, channel: g.cfg.Beats, Relay: wire.Relay{Broker: g.cfg.ID, LeaderEpoch: s.shard.epoch}}
	_, err := r.do(ctx, req)
	return err
}
