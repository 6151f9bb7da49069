package network

import (
	"io"
	"net"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/gate"
)

// quiet requires that nothing comes for a while.
func quiet(t *testing.T, c net.Conn) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(50*time.Millisecond)))
	_, err := c.Read(make([]byte, 1))
	requireTimeout(t, err)
	require.NoError(t, c.SetReadDeadline(time.Time{}))
}

func expect(t *testing.T, c net.Conn, what string) {
	t.Helper()
	got := make([]byte, len(what))
	_, err := io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, what, string(got))
}

func TestSocketsObeyCuts(t *testing.T) {
	n := New(1)
	defer n.Close()
	client, server := pairOn(t, n, "tcp")
	waiting := make(chan string)
	go func() { // it waits in the socket when the cut begins
		b := make([]byte, 5)
		io.ReadFull(server, b)
		waiting <- string(b)
	}()
	for !waitsInSocket(t.Name()) {
		runtime.Gosched()
	}
	heal := n.Cut(clients, broker)
	say(t, client, "hello")
	say(t, server, "you")
	quiet(t, client)
	select {
	case <-waiting:
		require.Fail(t, "bytes came through a cut")
	default:
	}
	heal()
	require.Equal(t, "hello", <-waiting)
	expect(t, client, "you")
	say(t, client, "again")
	expect(t, server, "again")
}

func TestSocketsEndBehindACut(t *testing.T) {
	for name, end := range map[string]func(n *Network, server net.Conn){
		"closed": func(n *Network, server net.Conn) { server.Close() },
		"killed": func(n *Network, server net.Conn) { n.Host("broker-1").Kill() },
	} {
		t.Run(name, func(t *testing.T) {
			n := New(1)
			defer n.Close()
			client, server := pairOn(t, n, "tcp")
			heal := n.Cut(clients, broker)
			end(n, server)
			_, err := server.Write([]byte("x"))
			require.Error(t, err)
			quiet(t, client)
			heal()
			_, err = client.Read(make([]byte, 1))
			if name == "closed" {
				require.Equal(t, io.EOF, err)
			} else {
				require.ErrorIs(t, err, syscall.ECONNRESET)
			}
		})
	}
}

func TestSocketsOfAHostWithoutPower(t *testing.T) {
	n := New(1)
	defer n.Close()
	client, server := pairOn(t, n, "tcp")
	h := n.Host("broker-1")
	address := server.LocalAddr().String()
	h.PowerOff()
	_, err := server.Read(make([]byte, 1))
	require.ErrorIs(t, err, net.ErrClosed)
	server.Close()
	say(t, client, "anybody there?")
	quiet(t, client)
	late, err := net.Dial("tcp", address) // the kernel connects; nobody speaks
	require.NoError(t, err)
	say(t, late, "hello?")
	quiet(t, late)

	h.Revive()
	for _, c := range []net.Conn{client, late} {
		_, err = c.Read(make([]byte, 1))
		require.ErrorIs(t, err, syscall.ECONNRESET)
	}
	l, err := h.ListenTCP(address)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	_, err = net.Dial("tcp", address)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

func TestSocketsOfAnEndedIncarnationAreSilent(t *testing.T) {
	n := New(1)
	defer n.Close()
	h := n.Host("broker-1")
	g := gate.New()
	h.Attach(g)
	l, err := h.ListenTCP("127.0.0.1:0")
	require.NoError(t, err)
	client, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	server, err := l.Accept()
	require.NoError(t, err)
	g.Shut()
	server.Close()
	l.Close()
	quiet(t, client)
	late, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err, "not a refusal")
	quiet(t, late)
	h.Kill()
	_, err = client.Read(make([]byte, 1))
	require.ErrorIs(t, err, syscall.ECONNRESET)
	_, err = net.Dial("tcp", l.Addr().String())
	require.ErrorIs(t, err, syscall.ECONNREFUSED)
}

func TestPausedSockets(t *testing.T) {
	n := New(1)
	defer n.Close()
	g := gate.New()
	n.Host("broker-1").Attach(g)
	client, server := pairOn(t, n, "tcp")
	go func() {
		b := make([]byte, 5)
		io.ReadFull(server, b)
		server.Write(b)
	}()
	g.Pause()
	say(t, client, "hello")
	quiet(t, client)
	g.Resume()
	expect(t, client, "hello")
}

func TestSocketsObeyLatencyAndBandwidth(t *testing.T) {
	n := New(1)
	defer n.Close()
	client, server := pairOn(t, n, "tcp")
	go io.Copy(server, server)
	began := time.Now()
	heal := n.Latency(clients, broker, 30*time.Millisecond, 0)
	say(t, client, "there and back")
	expect(t, client, "there and back")
	require.GreaterOrEqual(t, time.Since(began), 60*time.Millisecond)
	heal()
	n.Bandwidth(clients, broker, 1<<20)
	began = time.Now()
	go client.Write(make([]byte, 100<<10))
	_, err := io.ReadFull(client, make([]byte, 100<<10))
	require.NoError(t, err)
	require.GreaterOrEqual(t, time.Since(began), 100*time.Millisecond)
}

func TestAFreePortIsNotOneTheKernelGivesAway(t *testing.T) {
	n := New(1)
	defer n.Close()
	for range 10 {
		l, err := n.Host("broker-1").ListenTCP("127.0.0.1:0")
		require.NoError(t, err)
		_, p, err := net.SplitHostPort(l.Addr().String())
		require.NoError(t, err)
		port, err := strconv.Atoi(p)
		require.NoError(t, err)
		require.GreaterOrEqual(t, port, firstPort)
		require.Less(t, port, ephemeralStart())
	}
	_, err := n.Host("broker-1").ListenTCP("127.0.0.1:notaport")
	require.Error(t, err)
	_, err = n.Host("broker-1").ListenTCP("127.0.0.1")
	require.Error(t, err)
}

// waitsInSocket reports whether a goroutine that the named test began waits for a
// socket.
func waitsInSocket(test string) bool {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for _, stack := range strings.Split(string(stacks), "\n\n") {
		if strings.Contains(stack, "[IO wait]") && strings.Contains(stack, test+".func") && strings.Contains(stack, "io.ReadFull") {
			return true
		}
	}
	return false
}
