package wire

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// parked answers Heartbeat in its turn and apart from the order only once its group's
// channel is closed; everything else at once.
func parked(until map[string]chan struct{}) Handler {
	return HandlerFunc(func(ctx context.Context, r *Request) Reply {
		req, ok := r.Body.(*kmsg.HeartbeatRequest)
		if !ok {
			return Reply{Response: r.Body.ResponseKind()}
		}
		return Reply{Apart: req.MemberID == "apart", Later: func() kmsg.Response {
			select {
			case <-until[req.Group]:
			case <-ctx.Done():
			}
			return req.ResponseKind()
		}}
	})
}

func parkedHeartbeat(group, member string) kmsg.Request {
	req := kmsg.NewPtrHeartbeatRequest()
	req.Group, req.MemberID = group, member
	return req
}

func anyVersion(int16) (low, high int16, ok bool) { return 0, 18, true }

func TestAReplyApartHoldsNobodyBack(t *testing.T) {
	until := map[string]chan struct{}{}
	inBubble(t, ServerConfig{Handler: parked(until), Versions: anyVersion}, func(r *rig) {
		for _, group := range []string{"a", "b", "c"} {
			until[group] = make(chan struct{}) // in the bubble
		}
		nc := r.raw()
		defer nc.Close()
		r.send(nc, 1, parkedHeartbeat("a", "apart"))
		r.send(nc, 2, parkedHeartbeat("b", "apart"))
		r.send(nc, 3, kmsg.NewPtrApiVersionsRequest())
		require.EqualValues(t, 3, r.receive(nc, kmsg.NewPtrApiVersionsResponse()))
		r.send(nc, 4, parkedHeartbeat("c", "in turn")) // even an answer that waits in its turn
		synctest.Wait()
		close(until["b"])
		require.EqualValues(t, 2, r.receive(nc, kmsg.NewPtrHeartbeatResponse()))
		close(until["a"])
		require.EqualValues(t, 1, r.receive(nc, kmsg.NewPtrHeartbeatResponse()))
		close(until["c"])
		require.EqualValues(t, 4, r.receive(nc, kmsg.NewPtrHeartbeatResponse()))
	})
}

func TestTheEndOfAConnectionEndsRepliesApart(t *testing.T) {
	inBubble(t, ServerConfig{Handler: parked(nil), Versions: anyVersion}, func(r *rig) {
		nc := r.raw()
		for id := range int32(10) {
			r.send(nc, id, parkedHeartbeat("a", "apart"))
		}
		synctest.Wait()
		require.Len(t, r.server.Conns(), 1)
		nc.Close()
		synctest.Wait()
		require.Empty(t, r.server.Conns())

		nc = r.raw()
		defer nc.Close()
		r.send(nc, 1, parkedHeartbeat("a", "apart"))
		synctest.Wait() // the server is closed while it waits
	})
}

// Many answers at once: each is whole.
func TestRepliesApartDoNotMix(t *testing.T) {
	until := map[string]chan struct{}{}
	inBubble(t, ServerConfig{Handler: parked(until), Versions: anyVersion}, func(r *rig) {
		until["a"] = make(chan struct{}) // in the bubble
		nc := r.raw()
		defer nc.Close()
		const all = 500
		for id := range int32(all) {
			r.send(nc, id, parkedHeartbeat("a", "apart"))
		}
		synctest.Wait()
		close(until["a"])
		seen := map[int32]bool{}
		for range all {
			seen[r.receive(nc, kmsg.NewPtrHeartbeatResponse())] = true
		}
		require.Len(t, seen, all)
	})
}
