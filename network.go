package brokersim

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/broker"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/network"
)

// Network is what lies between all nodes and the clients. Raft, replication and
// clients share it, so one cut cuts all of it.
type Network struct{ c *Cluster }

// An End names one end of a link.
type End string

// B is a broker's end.
func B(id int32) End { return End(event.BrokerNode(id)) }

// Q is a coordinator node's end. Coordinator nodes and brokers both count from 1.
func Q(id int32) End { return End(event.CoordinatorNode(id)) }

// Clients is the end of everybody outside the cluster.
const Clients End = "clients"

// Cut holds everything between a and b, both ways: connections stay, nothing
// arrives, nobody is told.
func (n *Network) Cut(a, b []End) *Fault {
	return n.link(fmt.Sprintf("%s cut from %s", ends(a), ends(b)), a, b, n.c.network.Cut)
}

// OneWay holds everything that goes from from to to; answers still come back.
func (n *Network) OneWay(from, to []End) *Fault {
	return n.link(fmt.Sprintf("nothing gets from %s to %s", ends(from), ends(to)), from, to, n.c.network.OneWay)
}

// Latency delays what goes between a and b by d, give or take up to jitter, in
// each direction.
func (n *Network) Latency(a, b []End, d, jitter time.Duration) *Fault {
	if d < 0 || jitter < 0 {
		return n.c.faults.impossible(fmt.Errorf("Latency(%v, %v): time cannot be negative", d, jitter))
	}
	what := fmt.Sprintf("%v±%v between %s and %s", d, jitter, ends(a), ends(b))
	return n.link(what, a, b, func(a, b []string) func() { return n.c.network.Latency(a, b, d, jitter) })
}

// Loss resets each connection between a and b with probability p a second: on a
// stream of bytes that is what loss looks like.
func (n *Network) Loss(a, b []End, p float64) *Fault {
	if !(p >= 0 && p <= 1) {
		return n.c.faults.impossible(fmt.Errorf("Loss(%v): a probability lies between 0 and 1", p))
	}
	what := fmt.Sprintf("connections between %s and %s reset, %v a second", ends(a), ends(b), p)
	return n.link(what, a, b, func(a, b []string) func() { return n.c.network.Loss(a, b, p) })
}

// Bandwidth limits each connection between a and b, in each direction.
func (n *Network) Bandwidth(a, b []End, bytesPerSec int) *Fault {
	if bytesPerSec <= 0 {
		return n.c.faults.impossible(fmt.Errorf("Bandwidth(%d): use Cut to let nothing pass", bytesPerSec))
	}
	what := fmt.Sprintf("%d bytes a second between %s and %s", bytesPerSec, ends(a), ends(b))
	return n.link(what, a, b, func(a, b []string) func() { return n.c.network.Bandwidth(a, b, bytesPerSec) })
}

// Intercept acts on the Kafka messages with this API key that go from one of
// from to one of to.
func (n *Network) Intercept(from, to []End, apiKey int16, do Action) *Fault {
	if do == nil {
		return n.c.faults.impossible(fmt.Errorf("Intercept(%s): no action", keyName(apiKey)))
	}
	act, what, err := do.action()
	if err != nil {
		return n.c.faults.impossible(fmt.Errorf("Intercept(%s): %w", keyName(apiKey), err))
	}
	what = fmt.Sprintf("%s from %s to %s: %s", keyName(apiKey), ends(from), ends(to), what)
	return n.link(what, from, to, func(a, b []string) func() { return n.c.network.Intercept(a, b, apiKey, act) })
}

// link injects a fault between two groups of ends that exist.
func (n *Network) link(what string, a, b []End, inject func(a, b []string) func()) *Fault {
	if err := n.c.known(a, b); err != nil {
		return n.c.faults.impossible(err)
	}
	return n.c.faults.inject("", what, inject(names(a), names(b)))
}

// isolate cuts a node off from all other nodes, not from the clients.
func (c *Cluster) isolate(name string) *Fault {
	others := slices.DeleteFunc(c.ends(), func(e End) bool { return e == End(name) || e == Clients })
	what := fmt.Sprintf("%s isolated from all other nodes", ends([]End{End(name)}))
	return c.faults.inject(name, what, c.network.Cut([]string{name}, names(others)))
}

// ends are all that there are.
func (c *Cluster) ends() []End {
	all := []End{Clients}
	for _, b := range c.brokers {
		all = append(all, B(b.id))
	}
	for _, n := range c.nodes {
		all = append(all, Q(n.id))
	}
	return all
}

func (c *Cluster) known(groups ...[]End) error {
	all := c.ends()
	for _, group := range groups {
		for _, e := range group {
			if !slices.Contains(all, e) {
				return fmt.Errorf("%q is no end of this network; there are %s", e, ends(all))
			}
		}
	}
	return nil
}

func names(es []End) []string {
	ns := make([]string, len(es))
	for i, e := range es {
		ns[i] = string(e)
	}
	return ns
}

// ends writes ends in words, as in "broker 1, clients".
func ends(es []End) string {
	return strings.ReplaceAll(strings.Join(names(es), ", "), "-", " ")
}

// keyName is the name of a Kafka API, as in "Produce".
func keyName(apiKey int16) string {
	if name := kmsg.NameForKey(apiKey); name != "" {
		return name
	}
	return fmt.Sprintf("API key %d", apiKey)
}

// An Action is what Intercept does to a message: Delay, DropRequest, DropResponse
// or Answer.
type Action interface {
	action() (do network.Action, what string, err error)
}

// Delay lets a request through later.
type Delay time.Duration

func (d Delay) action() (network.Action, string, error) {
	if d < 0 {
		return nil, "", fmt.Errorf("Delay(%v): time cannot be negative", time.Duration(d))
	}
	return network.Delay(time.Duration(d)), fmt.Sprintf("delayed by %v", time.Duration(d)), nil
}

type drop int

const (
	// DropRequest swallows a request and resets the connection: nothing happens.
	DropRequest drop = iota
	// DropResponse swallows the answer and resets the connection: the request has
	// had its effect, and the sender does not know.
	DropResponse
)

func (d drop) action() (network.Action, string, error) {
	if d == DropResponse {
		return network.DropResponse, "answers dropped", nil
	}
	return network.DropRequest, "requests dropped", nil
}

// Answer has requests answered with an error, without effect, in every partition
// and in the top-level field where there is one.
func Answer(err *kerr.Error) Action { return answer{err} }

type answer struct{ err *kerr.Error }

func (a answer) action() (network.Action, string, error) {
	if a.err == nil {
		return nil, "", errors.New("Answer(nil): name an error, as in kerr.NotController")
	}
	encode := func(request []byte) []byte { return broker.ErrorResponse(request, a.err.Code) }
	return network.Answer(encode), "answered with " + a.err.Message, nil
}
