package wire

import (
	"context"
	"fmt"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What is handled by the goroutine that reads keeps its place among what is not: it begins
// after what came before it, and is answered after that.
func TestPromptRequestsKeepTheirPlace(t *testing.T) {
	var mu sync.Mutex
	var begun []string
	note := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		begun = append(begun, what)
	}
	handler := HandlerFunc(func(ctx context.Context, r *Request) Reply {
		switch req := r.Body.(type) {
		case *kmsg.ProduceRequest: // prompt; with acks=all what it waits for comes later
			note(fmt.Sprint("produce ", req.TimeoutMillis))
			wait := time.Duration(req.TimeoutMillis) * time.Millisecond
			resp := &kmsg.ProduceResponse{Version: req.Version, ThrottleMillis: req.TimeoutMillis}
			if req.Acks == 1 {
				return Reply{Response: resp}
			}
			return Reply{Later: func() kmsg.Response { time.Sleep(wait); return resp }}
		default: // not prompt: it keeps the next one waiting
			note("metadata")
			time.Sleep(time.Second)
			return Reply{Response: named(r)}
		}
	})
	inBubble(t, ServerConfig{Handler: handler, Prompt: func(key int16) bool { return key == int16(kmsg.Produce) }}, func(r *rig) {
		produce := func(acks int16, ms int32) kmsg.Request {
			return &kmsg.ProduceRequest{Version: 9, Acks: acks, TimeoutMillis: ms}
		}
		nc := r.raw()
		all := []kmsg.Request{produce(-1, 500), produce(1, 1), ask("a"), produce(1, 2), produce(-1, 3), ask("b"), produce(1, 4)}
		for i, req := range all {
			r.send(nc, int32(i), req)
		}
		synctest.Wait()
		mu.Lock()
		require.Equal(t, []string{"produce 500", "produce 1", "metadata"}, begun, "none begins beside one that is not prompt")
		mu.Unlock()
		for i, req := range all {
			resp := req.ResponseKind()
			resp.SetVersion(req.GetVersion())
			require.Equal(t, int32(i), r.receive(nc, resp))
			if p, ok := resp.(*kmsg.ProduceResponse); ok {
				require.Equal(t, req.(*kmsg.ProduceRequest).TimeoutMillis, p.ThrottleMillis)
			}
		}
		require.Equal(t, []string{"produce 500", "produce 1", "metadata", "produce 2", "produce 3", "metadata", "produce 4"}, begun)
	})
}

// A prompt reply may end the connection like any other, and a client that goes is noticed
// while replies to it wait.
func TestPromptRequestsAndTheEnd(t *testing.T) {
	ended := make(chan time.Duration, 1)
	prompt := func(int16) bool { return true }
	t.Run("by the server", func(t *testing.T) {
		inBubble(t, ServerConfig{Prompt: prompt, Handler: HandlerFunc(func(context.Context, *Request) Reply {
			return Reply{None: true, Close: true}
		})}, func(r *rig) {
			nc := r.raw()
			r.send(nc, 1, ask("a"))
			r.closed(nc)
		})
	})
	t.Run("by the client", func(t *testing.T) {
		inBubble(t, ServerConfig{Prompt: prompt, Handler: HandlerFunc(func(ctx context.Context, r *Request) Reply {
			return Reply{Later: func() kmsg.Response {
				began := time.Now()
				<-ctx.Done()
				ended <- time.Since(began)
				return nil
			}}
		})}, func(r *rig) {
			nc := r.raw()
			r.send(nc, 1, ask("a"))
			time.Sleep(time.Second)
			require.NoError(t, nc.Close())
			require.Equal(t, time.Second, <-ended)
		})
	})
	t.Run("with garbage", func(t *testing.T) {
		inBubble(t, ServerConfig{Prompt: prompt, Handler: HandlerFunc(func(context.Context, *Request) Reply {
			panic("nobody is asked")
		})}, func(r *rig) {
			for _, frame := range [][]byte{{0, 0, 0, 0}, {0, 0, 0, 1, 9}, {0, 0, 0, 2, 0, 0}} {
				nc := r.raw()
				_, err := nc.Write(frame)
				require.NoError(t, err)
				nc.SetReadDeadline(time.Now().Add(time.Minute))
				_, err = ReadFrame(nc, 1<<20, nil)
				require.Equal(t, io.EOF, err)
			}
		})
	})
}
