package wire

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/internal/network"
)

// BenchmarkRoundTrip is a request and its response between two nodes: encode,
// carry, decode, handle, and back.
func BenchmarkRoundTrip(b *testing.B) {
	records := make([]byte, 64<<10)
	for name, c := range map[string]struct {
		req  kmsg.Request
		resp func() kmsg.Response
	}{
		"api=Metadata": {ask("orders"), func() kmsg.Response { return kmsg.NewPtrMetadataResponse() }},
		"api=Fetch/64KiB": {&kmsg.FetchRequest{Version: 12}, func() kmsg.Response {
			resp := kmsg.NewPtrFetchResponse()
			resp.Topics = []kmsg.FetchResponseTopic{{Topic: "orders", Partitions: []kmsg.FetchResponseTopicPartition{{RecordBatches: records}}}}
			return resp
		}},
	} {
		b.Run(name, func(b *testing.B) {
			n := network.New(1)
			defer n.Close()
			l, err := n.Host("broker-1").Listen("broker-1:9090", true)
			require.NoError(b, err)
			server := NewServer(ServerConfig{Listener: l, Handler: HandlerFunc(func(context.Context, *Request) Reply {
				return Reply{Response: c.resp()}
			})})
			go server.Serve()
			defer server.Close()
			client := NewClient(ClientConfig{Dial: func(ctx context.Context) (net.Conn, error) {
				return n.Host("broker-2").DialContext(ctx, "tcp", "broker-1:9090")
			}})
			defer client.Close()
			b.ReportAllocs()
			for b.Loop() {
				answer, err := client.Borrow(b.Context(), c.req)
				require.NoError(b, err)
				answer.GiveBack()
			}
		})
	}
}
