package wire

import (
	"context"
	"iter"
	"log/slog"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

type Header struct {
	Key, Version  int16
	CorrelationID int32
	ClientID      *string
}

type Request struct {
	Header
	Body     kmsg.Request
	Conn     *Conn
	Received time.Time
}

type Reply struct {
	Response kmsg.Response
	Later    func() kmsg.Response
	None     bool
	Close    bool
	Release  func()
}

type Handler interface {
	Handle(ctx context.Context, r *Request) Reply
}

type ServerConfig struct {
	Listener        net.Listener
	Name            string
	Handler         Handler
	Versions        func(key int16) (low, high int16, ok bool)
	MaxRequestBytes int
	Logger          *slog.Logger
	OnClose         func(*Conn)
}

type Server struct{}

func NewServer(cfg ServerConfig) *Server { panic("not built yet") }
func (s *Server) Serve() error           { panic("not built yet") }
func (s *Server) Close() error           { panic("not built yet") }

type Conn struct{}

func (c *Conn) Listener() string     { panic("not built yet") }
func (c *Conn) RemoteAddr() net.Addr { panic("not built yet") }
func (c *Conn) State() any           { panic("not built yet") }
func (c *Conn) SetState(any)         { panic("not built yet") }
func (c *Conn) Close()               { panic("not built yet") } // ends the connection; does not wait

type ClientConfig struct {
	Dial     func(ctx context.Context) (net.Conn, error)
	ClientID string
}
type Client struct{}

func NewClient(cfg ClientConfig) *Client { panic("not built yet") }
func (c *Client) Do(ctx context.Context, req kmsg.Request) (kmsg.Response, error) {
	panic("not built yet")
}
func (c *Client) Close() error { panic("not built yet") }

func Code(err error) int16 { panic("not built yet") }
func Err(code int16) error { panic("not built yet") }

type MetadataEntry struct {
	Offset  int64
	Payload []byte
}

func MetadataBatch(offset int64, term int32, payload []byte) []byte { panic("not built yet") }
func ReadMetadataBatches(records []byte) iter.Seq2[MetadataEntry, error] {
	panic("not built yet")
}

// ErrorAnswer is the answer to req that says nothing but code, in every item that req names.
func ErrorAnswer(req kmsg.Request, code int16) kmsg.Response { panic("not built yet") }

// AppendRequest and AppendResponse append whole frames with their length.
func AppendRequest(dst []byte, h Header, req kmsg.Request) []byte { panic("not built yet") }
func AppendResponse(dst []byte, correlationID int32, resp kmsg.Response) []byte {
	panic("not built yet")
}
