package peers

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	natsgo "github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// natsCrash kills the process of a NATS server, which is this program once more.
type natsCrash struct {
	patience time.Duration // for an ack, until the client sends again; 0 is the client's own 5 s
	nodes    []natsNode
	running  []*process
	conn     *natsgo.Conn
	js       jetstream.JetStream
	victim   int
}

// nodeVariable tells a child which server it is.
const nodeVariable = "BROKERSIM_PEERS_NATS_NODE"

type natsNode struct {
	Dir    string
	ID     int
	Client int
	Routes []int
}

// runNode is a child's whole life, if this is one.
func runNode() {
	text, child := os.LookupEnv(nodeVariable)
	if !child {
		return
	}
	var n natsNode
	err := json.Unmarshal([]byte(text), &n)
	if err == nil {
		o := natsOptions(n.Dir, n.ID, n.Routes)
		o.Port = n.Client
		var s *server.Server
		if s, err = server.NewServer(o); err == nil {
			s.Start()
			s.WaitForShutdown()
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func (n *natsCrash) start(tb testing.TB) {
	dir, ports := tb.TempDir(), freePorts(tb, 6)
	for id := range 3 {
		n.nodes = append(n.nodes, natsNode{dir, id, ports[3+id], ports[:3]})
		n.running = append(n.running, n.run(tb, id))
	}
	n.connect(tb, 0)
	n.createStream(tb)
	if leader := n.leader(tb); leader == 0 { // the client's server shall live
		n.conn.Close()
		n.connect(tb, 1)
	}
}

func (n *natsCrash) run(tb testing.TB, id int) *process {
	node, err := json.Marshal(n.nodes[id])
	require.NoError(tb, err)
	return startProcess(tb, []string{nodeVariable + "=" + string(node)}, os.Args[0])
}

func (n *natsCrash) connect(tb testing.TB, id int) {
	url := fmt.Sprintf("nats://127.0.0.1:%d", n.nodes[id].Client)
	require.Eventually(tb, func() (connected bool) {
		var err error
		n.conn, err = natsgo.Connect(url)
		return err == nil
	}, time.Minute, 20*time.Millisecond)
	var err error
	n.js, err = jetstream.New(n.conn)
	require.NoError(tb, err)
}

func (n *natsCrash) createStream(tb testing.TB) {
	create(tb, n.js, jetstream.StreamConfig{
		Name: topic, Subjects: []string{topic}, Storage: jetstream.MemoryStorage, Replicas: 3,
	})
	n.whole(tb)
}

func (n *natsCrash) info(tb testing.TB) *jetstream.ClusterInfo {
	s, err := n.js.Stream(context.Background(), topic)
	require.NoError(tb, err)
	return s.CachedInfo().Cluster
}

func (n *natsCrash) leader(tb testing.TB) (id int) {
	_, err := fmt.Sscanf(n.info(tb).Leader, "node-%d", &id)
	require.NoError(tb, err)
	return id
}

// whole waits until every replica follows.
func (n *natsCrash) whole(tb testing.TB) {
	require.Eventually(tb, func() bool {
		c := n.info(tb)
		for _, r := range c.Replicas {
			if !r.Current || r.Offline {
				return false
			}
		}
		return c.Leader != "" && len(c.Replicas) == 2
	}, time.Minute, 50*time.Millisecond, "a replica does not follow")
}

func (n *natsCrash) one() (err error) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		ctx, cancel := context.Background(), func() {}
		if n.patience > 0 {
			ctx, cancel = context.WithTimeout(ctx, n.patience)
		}
		_, err = n.js.Publish(ctx, topic, []byte("order"))
		cancel()
		if err == nil {
			return nil
		}
	}
	return err
}

func (n *natsCrash) crash(tb testing.TB) {
	n.victim = n.leader(tb)
	n.running[n.victim].kill()
}

// repair starts the server again, and has the client on one that does not lead.
func (n *natsCrash) repair(tb testing.TB) {
	n.running[n.victim].end()
	n.running[n.victim] = n.run(tb, n.victim)
	n.whole(tb)
	if leader := n.leader(tb); n.conn.ConnectedServerName() == fmt.Sprintf("node-%d", leader) {
		n.conn.Close()
		n.connect(tb, (leader+1)%3)
	}
}

func (n *natsCrash) close() {
	n.conn.Close()
	for _, p := range n.running {
		p.end()
	}
}
