package network

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	produceKey  = 0
	fetchKey    = 1
	metadataKey = 3
)

func request(key int16, id int32, body string) []byte {
	b := make([]byte, 4, 64)
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, 3)
	b = binary.BigEndian.AppendUint32(b, uint32(id))
	b = append(b, 0xff, 0xff) // no client id
	b = append(b, body...)
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	return b
}

func frameOf(id int32, body string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(id)), body...)
}

func withLength(frame []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...)
}

// A talk is a Kafka connection whose server answers each request with its own
// body, and remembers what has had its effect.
type talk struct {
	t      *testing.T
	net    *Network
	client net.Conn
	server net.Conn
	mu     sync.Mutex
	done   []string
}

func newTalk(t *testing.T, n *Network, transport string) *talk {
	k := &talk{t: t, net: n}
	k.client, k.server = pairOn(t, n, transport)
	go k.serve()
	return k
}

func (k *talk) serve() {
	for {
		frame, err := readFrame(k.server)
		if err != nil {
			k.server.Close()
			return
		}
		m, _ := (&scanner{}).parse(frame)
		body := string(frame[10:])
		k.mu.Lock()
		k.done = append(k.done, body)
		k.mu.Unlock()
		if unanswered(m) {
			continue
		}
		k.server.Write(withLength(frameOf(m.CorrelationID, "re: "+body)))
	}
}

func readFrame(r io.Reader) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	frame := make([]byte, binary.BigEndian.Uint32(head[:]))
	_, err := io.ReadFull(r, frame)
	return frame, err
}

func (k *talk) ask(key int16, id int32, body string) {
	_, err := k.client.Write(request(key, id, body))
	require.NoError(k.t, err)
}

func (k *talk) hears(id int32, body string) {
	k.t.Helper()
	frame, err := readFrame(k.client)
	require.NoError(k.t, err)
	require.Equal(k.t, frameOf(id, body), frame)
}

func (k *talk) isReset() {
	k.t.Helper()
	_, err := k.client.Read(make([]byte, 1))
	require.ErrorIs(k.t, err, syscall.ECONNRESET)
}

func (k *talk) effects() []string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.done
}

// talks runs f over memory in a bubble, and over real sockets.
func talks(t *testing.T, f func(k *talk)) {
	t.Run("memory", func(t *testing.T) {
		bubble(t, func(t *testing.T, n *Network) { f(newTalk(t, n, "memory")) })
	})
	t.Run("tcp", func(t *testing.T) {
		n := New(1)
		defer n.Close()
		f(newTalk(t, n, "tcp"))
	})
}

func TestDropRequest(t *testing.T) {
	talks(t, func(k *talk) {
		k.ask(metadataKey, 1, "before")
		k.hears(1, "re: before")
		k.net.Intercept(clients, broker, metadataKey, DropRequest)
		k.ask(fetchKey, 2, "another key")
		k.hears(2, "re: another key")
		k.ask(metadataKey, 3, "lost")
		k.isReset()
		require.Equal(k.t, []string{"before", "another key"}, k.effects())
	})
}

func TestDropResponse(t *testing.T) {
	talks(t, func(k *talk) {
		k.net.Intercept(clients, broker, metadataKey, DropResponse)
		k.ask(fetchKey, 1, "first")
		k.ask(metadataKey, 2, "done but not told")
		k.hears(1, "re: first")
		k.isReset()
		require.Equal(k.t, []string{"first", "done but not told"}, k.effects())
	})
}

func TestAnswerKeepsTheOrder(t *testing.T) {
	talks(t, func(k *talk) {
		heal := k.net.Intercept(clients, broker, metadataKey, Answer(func(req []byte) []byte {
			return frameOf(int32(binary.BigEndian.Uint32(req[4:])), "made up")
		}))
		var all []byte
		for id := range int32(6) {
			all = append(all, request([]int16{fetchKey, metadataKey}[id%2], id, fmt.Sprint(id))...)
		}
		for len(all) > 0 { // in pieces that fit no message
			m := min(5, len(all))
			say(k.t, k.client, string(all[:m]))
			all = all[m:]
		}
		for id := range int32(6) {
			k.hears(id, []string{fmt.Sprint("re: ", id), "made up"}[id%2])
		}
		require.Equal(k.t, []string{"0", "2", "4"}, k.effects())
		heal()
		k.ask(metadataKey, 7, "real")
		k.hears(7, "re: real")
	})
}

// acksZero is the body of a produce request that gets no response.
const acksZero = "\xff\xff\x00\x00rest"

func TestAnswerBehindAProduceWithoutOne(t *testing.T) {
	talks(t, func(k *talk) {
		k.net.Intercept(clients, broker, metadataKey, Answer(func(req []byte) []byte { return frameOf(2, "made up") }))
		k.ask(produceKey, 1, acksZero)
		k.ask(metadataKey, 2, "m")
		k.hears(2, "made up")
	})
}

func TestDelayDelaysWhatFollows(t *testing.T) {
	talks(t, func(k *talk) {
		k.net.Intercept(clients, broker, metadataKey, Delay(50*time.Millisecond))
		began := time.Now()
		k.ask(fetchKey, 1, "a")
		k.hears(1, "re: a")
		quick := time.Since(began)
		k.ask(metadataKey, 2, "b")
		k.ask(fetchKey, 3, "c")
		k.hears(2, "re: b")
		require.GreaterOrEqual(k.t, time.Since(began), 50*time.Millisecond)
		require.Less(k.t, quick, 50*time.Millisecond)
		k.hears(3, "re: c")
	})
}

func TestHoldAndRelease(t *testing.T) {
	for _, what := range []string{"request", "response"} {
		t.Run(what, func(t *testing.T) {
			talks(t, func(k *talk) {
				release, seen := make(chan struct{}), make(chan Message, 1)
				once := sync.Once{}
				hold := func(m Message) (v Verdict) {
					once.Do(func() {
						m.Frame = nil // only valid during the call
						seen <- m
						v.Until = release
					})
					return v
				}
				if what == "request" {
					k.net.Intercept(clients, broker, metadataKey, hold)
				} else {
					k.net.Intercept(clients, broker, metadataKey, func(Message) Verdict { return Verdict{OnResponse: hold} })
				}
				k.ask(metadataKey, 1, "held")
				m := <-seen
				require.Equal(k.t, int32(1), m.CorrelationID)
				require.Equal(k.t, what == "response", m.Response)
				k.ask(metadataKey, 2, "behind")
				require.NoError(k.t, k.client.SetReadDeadline(time.Now().Add(30*time.Millisecond)))
				_, err := k.client.Read(make([]byte, 1))
				requireTimeout(k.t, err)
				require.NoError(k.t, k.client.SetReadDeadline(time.Time{}))
				if what == "request" {
					require.Empty(k.t, k.effects())
				}
				close(release)
				k.hears(1, "re: held")
				k.hears(2, "re: behind")
			})
		})
	}
}

func TestAHeldMessageDoesNotOutliveTheNetwork(t *testing.T) {
	bubble(t, func(t *testing.T, n *Network) {
		k := newTalk(t, n, "memory")
		n.Intercept(clients, broker, metadataKey, func(Message) Verdict { return Verdict{Until: make(chan struct{})} })
		k.ask(metadataKey, 1, "held for ever")
		synctest.Wait() // the goroutine that waits is joined by Close, or the bubble complains
	})
}

func TestInterceptorsLookOneWay(t *testing.T) {
	bubble(t, func(t *testing.T, n *Network) {
		k := newTalk(t, n, "memory")
		n.Intercept(broker, clients, metadataKey, DropRequest) // requests of the broker: there are none
		k.ask(metadataKey, 1, "a")
		k.hears(1, "re: a")
	})
}

func TestStreamsThatAreNotKafkasPass(t *testing.T) {
	for name, stream := range map[string][]byte{
		"HTTP":          []byte("GET / HTTP/1.1\r\nHost: broker-1\r\n\r\n"),
		"negative":      {0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5, 6, 7, 8},
		"tiny frames":   append(withLength(nil), withLength([]byte{1, 2, 3})...),
		"ends too soon": {0, 0, 1, 0, 9},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, n *Network) {
				client, server := pairOn(t, n, "memory")
				n.Intercept(clients, broker, metadataKey, DropRequest)
				go func() {
					for i := range stream {
						client.Write(stream[i : i+1])
					}
				}()
				want := len(stream)
				if name == "ends too soon" {
					want = 0 // it is still being gathered
				}
				got := make([]byte, len(stream))
				require.NoError(t, server.SetReadDeadline(time.Now().Add(time.Second)))
				m, _ := io.ReadFull(server, got)
				require.Equal(t, stream[:want], got[:m])
			})
		})
	}
}

func FuzzScanner(f *testing.F) {
	f.Add(append(request(metadataKey, 1, "a"), request(produceKey, 2, acksZero)...), uint8(7), true)
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"), uint8(1), false)
	f.Add(withLength(frameOf(3, "x")), uint8(3), true)
	f.Fuzz(func(t *testing.T, stream []byte, step uint8, hooked bool) {
		n := New(1)
		defer n.Close()
		l := n.link("a", "b")
		x := &exchange{reset: func() {}, inject: func([]answer) {}}
		if hooked {
			n.Intercept([]string{"a"}, []string{"b"}, metadataKey, func(Message) Verdict { return Verdict{Delay: 1} })
		}
		for _, s := range []*scanner{{exchange: x}, {exchange: x, response: true}} {
			var passed []byte
			for rest := stream; len(rest) > 0; {
				m := min(int(step)+1, len(rest))
				b := rest[:m]
				rest = rest[m:]
				for len(b) > 0 {
					var piece []byte
					piece, _, b = s.next(b, l)
					passed = append(passed, piece...)
				}
			}
			passed = append(passed, s.gathered...)
			require.Equal(t, len(stream), len(passed), "no byte is lost or made")
		}
	})
}
