package wire

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/network"
)

// A rig is a server on a network, with a raw connection and a client to it.
// It lives in a bubble, which finds every goroutine that is left.
type rig struct {
	t      *testing.T
	net    *network.Network
	server *Server
}

func inBubble(t *testing.T, cfg ServerConfig, f func(*rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := network.New(1)
		l, err := n.Host("broker-1").Listen("broker-1:9092", true)
		require.NoError(t, err)
		cfg.Listener, cfg.Name = l, "CLIENTS"
		r := &rig{t: t, net: n, server: NewServer(cfg)}
		served := make(chan error)
		go func() { served <- r.server.Serve() }()
		defer func() { // also after a failure: the bubble must end
			require.NoError(t, r.server.Close())
			require.NoError(t, <-served)
			require.NoError(t, n.Close())
		}()
		f(r)
	})
}

func (r *rig) dial(ctx context.Context) (net.Conn, error) {
	return r.net.Host("clients").DialContext(ctx, "tcp", "broker-1:9092")
}

func (r *rig) raw() net.Conn {
	nc, err := r.dial(r.t.Context())
	require.NoError(r.t, err)
	return nc
}

func (r *rig) send(nc net.Conn, id int32, req kmsg.Request) {
	_, err := nc.Write(AppendRequest(nil, Header{CorrelationID: id}, req))
	require.NoError(r.t, err)
}

func (r *rig) receive(nc net.Conn, resp kmsg.Response) int32 {
	frame, err := ReadFrame(nc, 1<<20, nil)
	require.NoError(r.t, err)
	id, err := DecodeResponse(frame, resp)
	require.NoError(r.t, err)
	return id
}

// closed requires that the server ends the connection without another byte.
func (r *rig) closed(nc net.Conn) {
	nc.SetReadDeadline(time.Now().Add(time.Minute))
	_, err := ReadFrame(nc, 1<<20, nil)
	require.Equal(r.t, io.EOF, err)
}

// named answers a Metadata request with the client's topics, so that an answer
// can be told from another.
func named(r *Request) kmsg.Response {
	resp := kmsg.NewPtrMetadataResponse()
	for _, topic := range r.Body.(*kmsg.MetadataRequest).Topics {
		resp.Topics = append(resp.Topics, kmsg.MetadataResponseTopic{Topic: topic.Topic})
	}
	return resp
}

func ask(topic string) *kmsg.MetadataRequest {
	return &kmsg.MetadataRequest{Version: 9, Topics: []kmsg.MetadataRequestTopic{{Topic: &topic}}}
}

func TestRequestsAreBegunAndAnsweredInOrder(t *testing.T) {
	gates := map[string]chan struct{}{"a": make(chan struct{}), "c": make(chan struct{})}
	var mu sync.Mutex
	var begun []string
	handler := HandlerFunc(func(ctx context.Context, r *Request) Reply {
		topic := *r.Body.(*kmsg.MetadataRequest).Topics[0].Topic
		mu.Lock()
		begun = append(begun, topic)
		mu.Unlock()
		if topic == "b" {
			return Reply{Response: named(r)}
		}
		return Reply{Later: func() kmsg.Response {
			select {
			case <-gates[topic]:
			case <-ctx.Done():
			}
			return named(r)
		}}
	})
	synctest.Test(t, func(t *testing.T) {
		gates["a"], gates["c"] = make(chan struct{}), make(chan struct{})
		n := network.New(1)
		l, err := n.Host("broker-1").Listen("broker-1:9092", true)
		require.NoError(t, err)
		r := &rig{t: t, net: n, server: NewServer(ServerConfig{Listener: l, Handler: handler})}
		go r.server.Serve()
		defer n.Close()
		defer r.server.Close()

		nc := r.raw()
		for i, topic := range []string{"a", "b", "c"} {
			r.send(nc, int32(i), ask(topic))
		}
		synctest.Wait()
		require.Equal(t, []string{"a", "b", "c"}, begun, "a later reply lets the next request begin")
		close(gates["c"]) // the last is known first
		synctest.Wait()
		close(gates["a"])
		for i, topic := range []string{"a", "b", "c"} {
			resp := &kmsg.MetadataResponse{Version: 9}
			require.Equal(t, int32(i), r.receive(nc, resp))
			require.Equal(t, topic, *resp.Topics[0].Topic)
		}
	})
}

func TestAReplyWithoutLaterHoldsTheNextRequest(t *testing.T) {
	var begun atomic.Int32
	inBubble(t, ServerConfig{Handler: HandlerFunc(func(ctx context.Context, r *Request) Reply {
		begun.Add(1)
		time.Sleep(time.Second)
		return Reply{Response: named(r)}
	})}, func(r *rig) {
		t := r.t
		nc := r.raw()
		r.send(nc, 1, ask("a"))
		r.send(nc, 2, ask("b"))
		time.Sleep(500 * time.Millisecond)
		require.Equal(t, int32(1), begun.Load())
		time.Sleep(time.Second)
		require.Equal(t, int32(2), begun.Load())
	})
}

func TestTheEndOfAConnectionCancelsAParkedHandler(t *testing.T) {
	for name, end := range map[string]func(r *rig, nc net.Conn){
		"closed": func(r *rig, nc net.Conn) { nc.Close() },
		"reset":  func(r *rig, nc net.Conn) { r.net.Host("clients").Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			var cancelled, closed atomic.Int64
			began := time.Time{}
			inBubble(t, ServerConfig{
				Handler: HandlerFunc(func(ctx context.Context, r *Request) Reply {
					select {
					case <-ctx.Done():
						cancelled.Store(int64(time.Since(began)))
					case <-time.After(time.Hour):
					}
					return Reply{Response: named(r)}
				}),
				OnClose: func(c *Conn) { closed.Add(1) },
			}, func(r *rig) {
				t := r.t
				began = time.Now()
				nc := r.raw()
				r.send(nc, 1, ask("a"))
				time.Sleep(10 * time.Second)
				end(r, nc)
				synctest.Wait()
				require.Equal(t, int64(10*time.Second), cancelled.Load(), "at once")
				require.Equal(t, int64(1), closed.Load())
				require.Empty(t, r.server.Conns())
			})
		})
	}
}

func TestWhatWasSentBeforeAnOrderlyEndIsStillBegun(t *testing.T) {
	var begun atomic.Int32
	inBubble(t, ServerConfig{Handler: HandlerFunc(func(ctx context.Context, r *Request) Reply {
		if ctx.Err() == nil {
			begun.Add(1)
		}
		time.Sleep(10 * time.Millisecond)
		return Reply{None: true}
	})}, func(r *rig) {
		t := r.t
		nc := r.raw()
		for i := range int32(3) {
			r.send(nc, i, ask("a"))
		}
		nc.Close()
		time.Sleep(time.Minute)
		require.Equal(t, int32(3), begun.Load())
	})
}

func TestCloseEndsEverything(t *testing.T) {
	big := make([]byte, 1<<20)
	for name, handler := range map[string]HandlerFunc{
		"parked handler": func(ctx context.Context, r *Request) Reply {
			<-ctx.Done()
			return Reply{Response: named(r)}
		},
		"parked reply": func(ctx context.Context, r *Request) Reply {
			return Reply{Later: func() kmsg.Response { <-ctx.Done(); return nil }}
		},
		"reader that does not read": func(ctx context.Context, r *Request) Reply {
			resp := kmsg.NewPtrFetchResponse()
			resp.Topics = []kmsg.FetchResponseTopic{{Partitions: []kmsg.FetchResponseTopicPartition{{RecordBatches: big}}}}
			return Reply{Response: resp}
		},
	} {
		t.Run(name, func(t *testing.T) {
			released := atomic.Int32{}
			counting := HandlerFunc(func(ctx context.Context, r *Request) Reply {
				reply := handler(ctx, r)
				reply.Release = func() { released.Add(1) }
				return reply
			})
			began := time.Time{}
			begun := int32(0)
			inBubble(t, ServerConfig{Handler: counting}, func(r *rig) {
				t := r.t
				began = time.Now()
				nc := r.raw()
				for i := range int32(20) {
					if name == "reader that does not read" {
						r.send(nc, i, &kmsg.FetchRequest{Version: 4})
					} else {
						r.send(nc, i, ask("a"))
					}
				}
				synctest.Wait()
				require.NoError(t, r.server.Close())
				require.Zero(t, time.Since(began))
				begun = released.Load()
			})
			require.Positive(t, begun, "every reply that was given is released")
		})
	}
}

func TestBadInput(t *testing.T) {
	good := AppendRequest(nil, Header{CorrelationID: 1}, ask("a"))
	frame := func(b []byte) []byte {
		return append(binary.BigEndian.AppendUint32(nil, uint32(len(b))), b...)
	}
	header := func(key, version int16) []byte {
		b := binary.BigEndian.AppendUint16(nil, uint16(key))
		b = binary.BigEndian.AppendUint16(b, uint16(version))
		return append(b, 0, 0, 0, 9, 0xff, 0xff, 0)
	}
	for name, c := range map[string]struct {
		send   []byte
		leaves bool // the client hangs up after it
	}{
		"oversized":          {send: []byte{0x7f, 0xff, 0xff, 0xff}},
		"negative length":    {send: []byte{0xff, 0xff, 0xff, 0xff}},
		"empty frame":        {send: frame(nil)},
		"HTTP":               {send: []byte("GET / HTTP/1.1\r\nHost: broker-1\r\n\r\n")},
		"header cut off":     {send: frame(good[4:9])},
		"client id cut off":  {send: frame([]byte{0, 3, 0, 1, 0, 0, 0, 1, 0, 9, 'x'})},
		"body cut off":       {send: frame(good[4 : len(good)-3])},
		"unknown key":        {send: frame(header(999, 0))},
		"negative key":       {send: frame(header(-1, 0))},
		"unknown version":    {send: frame(header(3, 99))},
		"negative version":   {send: frame(header(3, -1))},
		"unserved key":       {send: frame(header(0, 3))},
		"frame cut off":      {send: good[:len(good)-1], leaves: true},
		"length cut off":     {send: good[:2], leaves: true},
		"hostile tag count":  {send: frame(append(header(3, 9), 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f))},
		"hostile list count": {send: frame(append(header(3, 0), 0x7f, 0, 0, 0))},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, ServerConfig{
				MaxRequestBytes: 1 << 20,
				Handler:         HandlerFunc(func(ctx context.Context, r *Request) Reply { return Reply{Response: named(r)} }),
				Versions:        func(key int16) (int16, int16, bool) { return 0, 12, key == 3 || key == 18 },
			}, func(r *rig) {
				t := r.t
				nc := r.raw()
				_, err := nc.Write(append(bytes.Clone(good), c.send...))
				require.NoError(t, err)
				require.Equal(t, int32(1), r.receive(nc, &kmsg.MetadataResponse{Version: 9}), "what came before it is answered")
				if c.leaves {
					nc.Close()
				} else {
					r.closed(nc)
				}
				synctest.Wait()
				require.Empty(t, r.server.Conns())
			})
		})
	}
}

func TestUnknownApiVersionsVersionIsAnsweredInVersionZero(t *testing.T) {
	inBubble(t, ServerConfig{
		Handler: HandlerFunc(func(ctx context.Context, r *Request) Reply { return Reply{Response: named(r)} }),
		Versions: func(key int16) (int16, int16, bool) {
			if key == 18 {
				return 0, 4, true
			}
			return 0, 12, true
		},
	}, func(r *rig) {
		t := r.t
		nc := r.raw()
		for _, version := range []int16{5, 99, -1} {
			req := kmsg.NewPtrApiVersionsRequest()
			req.Version = version
			r.send(nc, 7, req)
			resp := &kmsg.ApiVersionsResponse{Version: 0}
			require.Equal(t, int32(7), r.receive(nc, resp))
			require.Equal(t, int16(35), resp.ErrorCode)
			require.Equal(t, []kmsg.ApiVersionsResponseApiKey{{ApiKey: 18, MinVersion: 0, MaxVersion: 4}}, resp.ApiKeys)
		}
		r.send(nc, 8, ask("a")) // the connection is still good, and needs no handshake
		r.receive(nc, &kmsg.MetadataResponse{Version: 9})
	})
}

func TestReplyKinds(t *testing.T) {
	inBubble(t, ServerConfig{Handler: HandlerFunc(func(ctx context.Context, r *Request) Reply {
		r.Conn.SetState(fmt.Sprint(r.Conn.State(), "+", *r.Body.(*kmsg.MetadataRequest).Topics[0].Topic))
		switch *r.Body.(*kmsg.MetadataRequest).Topics[0].Topic {
		case "none":
			return Reply{None: true}
		case "close":
			return Reply{None: true, Close: true}
		}
		require.Equal(t, "CLIENTS", r.Conn.Listener())
		require.NotNil(t, r.Conn.RemoteAddr())
		return Reply{Response: named(r)}
	})}, func(r *rig) {
		t := r.t
		nc := r.raw()
		r.send(nc, 1, ask("none"))
		r.send(nc, 2, ask("a"))
		require.Equal(t, int32(2), r.receive(nc, &kmsg.MetadataResponse{Version: 9}))
		require.Equal(t, "<nil>+none+a", r.server.Conns()[0].State())
		r.send(nc, 3, ask("close"))
		r.closed(nc)
	})
}
