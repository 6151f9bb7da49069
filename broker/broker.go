package broker

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/gate"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/replication"
	"github.com/brokersim/brokersim/wire"
)

// A Listener is one of a broker's doors: where it accepts, and the address that
// it tells others to use for it.
type Listener struct {
	Name string // metadata.InternalListener or metadata.ClientListener
	net.Listener
	Host string
	Port int32
}

// Config is what a broker is given. It holds no pointer to another node.
type Config struct {
	ID        int32
	Rack      string
	ClusterID string

	Listeners    []Listener
	Dial         func(ctx context.Context, network, addr string) (net.Conn, error)
	Coordinators []string // RPC addresses of the coordinator nodes

	FS     vfs.FS
	Gate   *gate.Gate // of this incarnation; nil is always open
	Events event.Sink
	Config *metadata.BrokerConfig
	Logger *slog.Logger
	Seed   uint64 // jitter

	// Failed is called at most once, when the broker cannot go on: its disk broke
	// or the cluster is not the one that it knows. It is called from one of the
	// broker's goroutines, so it must leave the closing to another one.
	Failed func(error)
}

// A Broker hosts replicas and serves clients and other brokers.
type Broker struct {
	cfg  Config
	node string // its name in events

	ctx    context.Context // ends with the broker
	cancel context.CancelFunc
	wg     sync.WaitGroup

	epoch atomic.Int64 // broker epoch; -1 before the first registration

	apis apis // what the handlers remember between requests; see dispatch.go
}

// image is the newest state of the cluster that this broker has applied.
func (b *Broker) image() *metadata.Image { panic("not built yet") }

// replica returns the replica of tp that this broker hosts, or nil.
func (b *Broker) replica(tp metadata.TopicPartition) *replication.Replica { panic("not built yet") }

// until waits until the image that this broker has applied satisfies cond, or ctx ends.
func (b *Broker) until(ctx context.Context, cond func(*metadata.Image) bool) error {
	panic("not built yet")
}

// awaitMetadata waits until this broker has applied the metadata up to offset.
func (b *Broker) awaitMetadata(ctx context.Context, offset int64) error { panic("not built yet") }

// forward sends req, whose version is set, to the active coordinator in an
// Envelope and returns its answer. It tries until ctx ends.
func (b *Broker) forward(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	panic("not built yet")
}

// producerID returns a producer id that nobody was given before.
func (b *Broker) producerID(ctx context.Context) (int64, error) { panic("not built yet") }

// Of the api files, used here:
//
//	type apis struct{...}                                          // dispatch.go; zero value before initAPIs
//	func (b *Broker) initAPIs()                                    // dispatch.go; called by Start before a server accepts
//	func (b *Broker) Handle(ctx context.Context, r *wire.Request) wire.Reply // dispatch.go
//	func acceptedVersions(key int16) (min, max int16, ok bool)     // versions.go
//	func (b *Broker) connClosed(c *wire.Conn)                      // dispatch.go; wire.ServerConfig.OnClose
var _ wire.Handler = (*Broker)(nil)
