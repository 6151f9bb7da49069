package network

import (
	"context"
	"net"
	"time"

	"github.com/brokersim/brokersim/internal/gate"
)

type Network struct{}

func New(seed uint64) *Network            { panic("not built yet") }
func (n *Network) Close() error           { panic("not built yet") }
func (n *Network) Host(name string) *Host { panic("not built yet") }

func (n *Network) Cut(a, b []string) (heal func())        { panic("not built yet") }
func (n *Network) OneWay(from, to []string) (heal func()) { panic("not built yet") }
func (n *Network) Latency(a, b []string, d, jitter time.Duration) (heal func()) {
	panic("not built yet")
}
func (n *Network) Bandwidth(a, b []string, bytesPerSec int) (heal func()) { panic("not built yet") }
func (n *Network) Loss(a, b []string, perSecond float64) (heal func())    { panic("not built yet") }
func (n *Network) Intercept(from, to []string, apiKey int16, do Action) (heal func()) {
	panic("not built yet")
}

// An Action decides about one message on its way. It must not block.
type Action func(Message) Verdict
type Message struct {
	From, To      string
	Key, Version  int16
	CorrelationID int32
	Response      bool
	Frame         []byte // without the length; of a response too
}
type Verdict struct {
	Delay      time.Duration
	Until      <-chan struct{} // hold it until closed
	Drop       bool            // swallow it and reset the connection
	Answer     []byte          // swallow the request, answer this frame (without the length)
	OnResponse Action          // what to do with the response of this request
}

func Delay(d time.Duration) Action                          { panic("not built yet") }
func DropRequest(Message) Verdict                           { panic("not built yet") }
func DropResponse(Message) Verdict                          { panic("not built yet") }
func Answer(encode func(requestFrame []byte) []byte) Action { panic("not built yet") }

type Host struct{}

func (h *Host) Name() string                                          { panic("not built yet") }
func (h *Host) Attach(g *gate.Gate)                                   { panic("not built yet") }
func (h *Host) Listen(addr string, framed bool) (net.Listener, error) { panic("not built yet") }

// ListenTCP listens on real sockets; port 0 picks a free one outside the kernel's ephemeral range.
func (h *Host) ListenTCP(addr string) (net.Listener, error) { panic("not built yet") }
func (h *Host) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	panic("not built yet")
}
func (h *Host) Kill()     { panic("not built yet") }
func (h *Host) PowerOff() { panic("not built yet") }
func (h *Host) Revive()   { panic("not built yet") }
