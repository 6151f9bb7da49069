package peers

import (
	"fmt"
	"net"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// nats returns NATS JetStream: three servers in this process, streams with three
// replicas, default settings. A partition of the others is a stream here, since that
// is what has one Raft group and one order.
func nats(where string) contender {
	storage, how := jetstream.MemoryStorage, "in memory"
	if where == "disk" {
		storage, how = jetstream.FileStorage, "written to files, synced every two minutes"
	}
	return contender{
		name:    "nats-r3",
		promise: "on 2 of 3 servers, " + how,
		start: func(tb testing.TB, partitions int) cluster {
			n := &natsCluster{storage: storage, streams: partitions, replicas: 3}
			n.servers = startNATS(tb, 3)
			for _, s := range n.servers {
				n.urls = append(n.urls, s.ClientURL())
			}
			n.createStreams(tb)
			return n
		},
	}
}

type natsCluster struct {
	storage  jetstream.StorageType
	streams  int
	replicas int
	servers  []*server.Server
	urls     []string
}

func (n *natsCluster) close() {
	for _, s := range n.servers {
		s.Shutdown()
		s.WaitForShutdown()
	}
}

// natsOptions configures one of several servers, whose ports among each other are these.
func natsOptions(dir string, id int, ports []int) *server.Options {
	o := &server.Options{
		ServerName: fmt.Sprintf("node-%d", id), Host: "127.0.0.1", Port: server.RANDOM_PORT,
		JetStream: true, StoreDir: filepath.Join(dir, fmt.Sprintf("node-%d", id)),
		Cluster: server.ClusterOpts{Name: "peers", Host: "127.0.0.1", Port: ports[id]},
		NoLog:   true, NoSigs: true,
	}
	for _, port := range ports {
		o.Routes = append(o.Routes, &url.URL{Scheme: "nats-route", Host: fmt.Sprintf("127.0.0.1:%d", port)})
	}
	return o
}

func startNATS(tb testing.TB, nodes int) (servers []*server.Server) {
	dir, ports := tb.TempDir(), freePorts(tb, nodes)
	for id := range nodes {
		s, err := server.NewServer(natsOptions(dir, id, ports))
		require.NoError(tb, err)
		go s.Start()
		servers = append(servers, s)
	}
	require.Eventually(tb, func() bool {
		leaders, current := 0, 0
		for _, s := range servers {
			if s.JetStreamIsLeader() {
				leaders++
			}
			if s.ReadyForConnections(time.Millisecond) && s.JetStreamIsCurrent() {
				current++
			}
		}
		return leaders == 1 && current == nodes
	}, 30*time.Second, 10*time.Millisecond, "no JetStream cluster")
	return servers
}

// freePorts returns ports that nobody listens on.
func freePorts(tb testing.TB, n int) (ports []int) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(tb, err)
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports
}
