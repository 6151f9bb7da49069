package brokersim

import (
	"sync"
	"sync/atomic"

	"github.com/brokersim/brokersim/internal/network"
	"github.com/brokersim/brokersim/internal/vfs"
)

// FilesOf is what is on a broker's disk.
func FilesOf(b *Broker) vfs.FS { return b.disk }

// CountRequests counts the requests with this API key that go from one end to
// another from now on.
func CountRequests(c *Cluster, from, to End, apiKey int16) (n *atomic.Int64, stop func()) {
	n = new(atomic.Int64)
	return n, c.network.Intercept([]string{string(from)}, []string{string(to)}, apiKey, func(m network.Message) network.Verdict {
		if !m.Response {
			n.Add(1)
		}
		return network.Verdict{}
	})
}

// NodeFilesOf is what is on a coordinator node's disk, but for its database.
func NodeFilesOf(n *Node) vfs.FS { return n.disk }

// FaultsOf is what is wrong with a broker's disk, NodeFaultsOf with a coordinator node's.
func FaultsOf(b *Broker) *vfs.Faults   { return &b.ill }
func NodeFaultsOf(n *Node) *vfs.Faults { return &n.ill }

// A RawDisk is what lies below the gates and faults of a node's incarnations.
type RawDisk = disk

// WrapDisk gives a broker that is down another disk, made from the one that it has.
func WrapDisk(b *Broker, wrap func(RawDisk) RawDisk) { b.disk = wrap(b.disk) }

// WrapNodeDisk is WrapDisk for a coordinator node.
func WrapNodeDisk(n *Node, wrap func(RawDisk) RawDisk) { n.disk = wrap(n.disk) }

// HoldRequests keeps the requests with this API key that go from one end to another on their
// way until release is called.
func HoldRequests(c *Cluster, from, to End, apiKey int16) (release func()) {
	held := make(chan struct{})
	stop := c.network.Intercept([]string{string(from)}, []string{string(to)}, apiKey, func(m network.Message) network.Verdict {
		if m.Response {
			return network.Verdict{}
		}
		return network.Verdict{Until: held}
	})
	return sync.OnceFunc(func() { stop(); close(held) })
}

// HoldAnswers lets the requests pass and keeps their answers.
func HoldAnswers(c *Cluster, from, to End, apiKey int16) (release func()) {
	held := make(chan struct{})
	stop := c.network.Intercept([]string{string(from)}, []string{string(to)}, apiKey, func(m network.Message) network.Verdict {
		return network.Verdict{OnResponse: func(network.Message) network.Verdict { return network.Verdict{Until: held} }}
	})
	return sync.OnceFunc(func() { stop(); close(held) })
}
