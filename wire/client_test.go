package wire

import (
	"context"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func topicOf(resp kmsg.Response) string { return *resp.(*kmsg.MetadataResponse).Topics[0].Topic }

func slowly(ctx context.Context, r *Request) Reply {
	began := time.Now()
	return Reply{Later: func() kmsg.Response {
		select {
		case <-time.After(time.Until(began.Add(time.Second))):
		case <-ctx.Done():
		}
		return named(r)
	}}
}

func TestClientPipelines(t *testing.T) {
	var dials atomic.Int32
	inBubble(t, ServerConfig{Handler: HandlerFunc(slowly)}, func(r *rig) {
		t := r.t
		client := NewClient(ClientConfig{ClientID: "broker-2", Dial: func(ctx context.Context) (net.Conn, error) {
			dials.Add(1)
			return r.dial(ctx)
		}})
		began := time.Now()
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				topic := string(rune('A' + i))
				resp, err := client.Do(r.t.Context(), ask(topic))
				require.NoError(t, err)
				require.Equal(t, topic, topicOf(resp))
			})
		}
		wg.Wait()
		require.Equal(t, time.Second, time.Since(began), "all at once, not one after the other")
		require.Equal(t, int32(1), dials.Load())
		require.NoError(t, client.Close())
		_, err := client.Do(r.t.Context(), ask("late"))
		require.ErrorIs(t, err, ErrClientClosed)
	})
}

func TestClientCancelsOneRequest(t *testing.T) {
	inBubble(t, ServerConfig{Handler: HandlerFunc(slowly)}, func(r *rig) {
		t := r.t
		client := NewClient(ClientConfig{Dial: r.dial})
		defer client.Close()
		ctx, cancel := context.WithTimeout(r.t.Context(), 100*time.Millisecond)
		defer cancel()
		_, err := client.Do(ctx, ask("given up"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		resp, err := client.Do(r.t.Context(), ask("next")) // on the same connection: its answer comes second
		require.NoError(t, err)
		require.Equal(t, "next", topicOf(resp))
		require.Len(t, r.server.Conns(), 1)
	})
}

func TestClientConnectsAnew(t *testing.T) {
	inBubble(t, ServerConfig{Handler: HandlerFunc(func(ctx context.Context, r *Request) Reply {
		if *r.Body.(*kmsg.MetadataRequest).Topics[0].Topic == "bad" {
			return Reply{None: true, Close: true}
		}
		return Reply{Response: named(r)}
	})}, func(r *rig) {
		t := r.t
		client := NewClient(ClientConfig{Dial: r.dial})
		defer client.Close()
		for range 3 {
			_, err := client.Do(r.t.Context(), ask("bad"))
			require.Error(t, err)
			resp, err := client.Do(r.t.Context(), ask("good"))
			require.NoError(t, err)
			require.Equal(t, "good", topicOf(resp))
			client.Disconnect()
		}
		r.server.Close()
		synctest.Wait()
		_, err := client.Do(r.t.Context(), ask("nobody"))
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
	})
}

func TestClientCloseFailsWhatWaits(t *testing.T) {
	inBubble(t, ServerConfig{Handler: HandlerFunc(func(ctx context.Context, r *Request) Reply {
		<-ctx.Done()
		return Reply{Response: named(r)}
	})}, func(r *rig) {
		t := r.t
		parked := NewClient(ClientConfig{Dial: r.dial})
		heal := func() {}
		dialing := NewClient(ClientConfig{Dial: func(ctx context.Context) (net.Conn, error) {
			heal = r.net.Cut([]string{"clients"}, []string{"broker-1"})
			return r.dial(ctx)
		}})
		var wg sync.WaitGroup
		for _, c := range []*Client{parked, dialing} {
			wg.Go(func() {
				_, err := c.Do(r.t.Context(), ask("a"))
				require.ErrorIs(t, err, ErrClientClosed)
			})
			synctest.Wait()
		}
		began := time.Now()
		require.NoError(t, parked.Close())
		require.NoError(t, dialing.Close())
		wg.Wait()
		require.Zero(t, time.Since(began))
		heal()
	})
}

func TestClientRejectsAnswersToNothing(t *testing.T) {
	near, far := net.Pipe()
	client := NewClient(ClientConfig{Dial: func(context.Context) (net.Conn, error) { return near, nil }})
	go func() {
		_, _ = ReadFrame(far, 1<<20, nil)
		_, _ = far.Write([]byte{0, 0, 0, 4, 0, 0, 0, 99})
	}()
	_, err := client.Do(t.Context(), ask("a"))
	require.ErrorContains(t, err, "correlation id 99")
	require.NoError(t, client.Close())
}

func TestAcksZeroHasNoAnswer(t *testing.T) {
	var got atomic.Int32
	inBubble(t, ServerConfig{Handler: HandlerFunc(func(ctx context.Context, r *Request) Reply {
		got.Add(1)
		return Reply{None: true}
	})}, func(r *rig) {
		t := r.t
		client := NewClient(ClientConfig{Dial: r.dial})
		defer client.Close()
		resp, err := client.Do(r.t.Context(), &kmsg.ProduceRequest{Version: 9, Acks: 0})
		require.NoError(t, err)
		require.Nil(t, resp)
		synctest.Wait()
		require.Equal(t, int32(1), got.Load())
	})
}

// A client for one request at a time has no goroutine, and does without a connection
// whose answer it did not wait for.
func TestClientOneAtATime(t *testing.T) {
	handler := HandlerFunc(func(ctx context.Context, r *Request) Reply {
		switch *r.Body.(*kmsg.MetadataRequest).Topics[0].Topic {
		case "never":
			<-ctx.Done()
		case "bad":
			return Reply{None: true, Close: true}
		}
		return Reply{Response: named(r)}
	})
	inBubble(t, ServerConfig{Handler: handler}, func(r *rig) {
		t := r.t
		var dials atomic.Int32
		client := NewClient(ClientConfig{OneAtATime: true, Dial: func(ctx context.Context) (net.Conn, error) {
			dials.Add(1)
			return r.dial(ctx)
		}})
		good := func(dialled int32) {
			t.Helper()
			for range 3 {
				resp, err := client.Do(t.Context(), ask("good"))
				require.NoError(t, err)
				require.Equal(t, "good", topicOf(resp))
			}
			require.Equal(t, dialled, dials.Load())
		}
		good(1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		_, err := client.Do(ctx, ask("never"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Second, time.Since(began))
		good(2)
		_, err = client.Do(ctx, ask("late"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		_, err = client.Do(t.Context(), ask("bad"))
		require.Error(t, err)
		dialled := dials.Load()
		good(dialled + 1)
		dialled = dials.Load()
		client.Disconnect()
		good(dialled + 1)
		began = time.Now()
		_, err = client.Borrow(t.Context(), ask("never"), 7*time.Second)
		require.ErrorIs(t, err, os.ErrDeadlineExceeded)
		require.Equal(t, 7*time.Second, time.Since(began))
		good(dialled + 2)
		_, err = client.Borrow(t.Context(), ask("good"), time.Second)
		require.NoError(t, err)
		time.Sleep(time.Minute) // no request is late
		good(dialled + 2)

		for range 20 { // what ends after its request takes the connection with it, and no other request
			ctx, cancel := context.WithCancel(t.Context())
			_, err := client.Do(ctx, ask("good"))
			require.NoError(t, err)
			cancel()
			_, err = client.Do(t.Context(), ask("good"))
			require.NoError(t, err)
		}

		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := client.Do(t.Context(), ask("never"))
			require.ErrorIs(t, err, ErrClientClosed)
		})
		synctest.Wait()
		require.NoError(t, client.Close())
		wg.Wait()
	})
}
