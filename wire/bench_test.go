package wire

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/network"
	"github.com/brokersim/brokersim/internal/slab"
)

// BenchmarkRoundTrip is a request and its response between two nodes: encode,
// carry, decode, handle, and back. Records that are lent go to a client that takes them over.
func BenchmarkRoundTrip(b *testing.B) {
	records := make([]byte, 64<<10)
	fetched := func(records []byte) kmsg.Response {
		resp := kmsg.NewPtrFetchResponse()
		resp.Topics = []kmsg.FetchResponseTopic{{Topic: "orders", Partitions: []kmsg.FetchResponseTopicPartition{{RecordBatches: records}}}}
		return resp
	}
	lent := [][]slab.Span{{slab.Of(records).Span(0, len(records))}}
	for name, c := range map[string]struct {
		req   kmsg.Request
		alone bool
		reply func() Reply
	}{
		"api=Metadata":           {ask("orders"), false, func() Reply { return Reply{Response: kmsg.NewPtrMetadataResponse()} }},
		"api=Fetch/64KiB":        {&kmsg.FetchRequest{Version: 12}, false, func() Reply { return Reply{Response: fetched(records)} }},
		"api=Fetch/64KiB/copied": {&kmsg.FetchRequest{Version: 12}, true, func() Reply { return Reply{Response: fetched(records)} }},
		"api=Fetch/64KiB/lent":   {&kmsg.FetchRequest{Version: 12}, true, func() Reply { return Reply{Response: fetched(nil), Records: lent} }},
	} {
		b.Run(name, func(b *testing.B) {
			n := network.New(1)
			defer n.Close()
			l, err := n.Host("broker-1").Listen("broker-1:9090", true)
			require.NoError(b, err)
			server := NewServer(ServerConfig{Listener: l, Handler: HandlerFunc(func(context.Context, *Request) Reply {
				return c.reply()
			})})
			go server.Serve()
			defer server.Close()
			client := NewClient(ClientConfig{OneAtATime: c.alone, Dial: func(ctx context.Context) (net.Conn, error) {
				return n.Host("broker-2").DialContext(ctx, "tcp", "broker-1:9090")
			}})
			defer client.Close()
			b.ReportAllocs()
			for b.Loop() {
				answer, err := client.Borrow(b.Context(), c.req, 0)
				require.NoError(b, err)
				answer.GiveBack()
			}
		})
	}
}
