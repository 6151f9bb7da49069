package simulation

import (
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/metadata"
)

// groupMenu is what befalls groups in particular: the brokers of their offsets, what their members
// say, and the way from the one to the coordinator.
var groupMenu = []fault{
	{"kill groups' broker", func(d *deed) { d.atGroups(func(b *brokersim.Broker) { d.restart(b, (*brokersim.Broker).Kill) }) }},
	{"isolate groups' broker", func(d *deed) { d.atGroups(func(b *brokersim.Broker) { d.link(b.Isolate()) }) }},
	{"cut groups' broker from coordinators", func(d *deed) {
		d.atGroups(func(b *brokersim.Broker) { d.link(d.net().Cut([]brokersim.End{brokersim.B(b.ID())}, d.nodes())) })
	}},
	{"cut groups' broker from brokers", func(d *deed) {
		d.atGroups(func(b *brokersim.Broker) {
			d.link(d.net().Cut([]brokersim.End{brokersim.B(b.ID())}, d.brokersBut(b)))
		})
	}},
	{"groups' brokers in a row", func(d *deed) { d.inARow(d.offsetsPlace()) }},
	{"groups' broker and coordinator", func(d *deed) {
		d.atGroups(func(b *brokersim.Broker) {
			n := d.n.run.cluster.Coordinator().Active()
			if n == nil || !d.n.take(b.Name(), n.Name()) {
				return
			}
			defer d.n.release(b.Name(), n.Name())
			d.say("%s and %s, for %v", b.Name(), n.Name(), d.lasts)
			d.down(b, (*brokersim.Broker).Kill)
			if err := n.Kill(); err != nil {
				d.say("%v", err)
			}
			d.wait()
			d.up(b)
			d.upNode(n)
		})
	}},
	{"intercept members", func(d *deed) {
		clients := []brokersim.End{brokersim.Clients}
		keys := []kmsg.Key{kmsg.JoinGroup, kmsg.SyncGroup, kmsg.Heartbeat, kmsg.LeaveGroup, kmsg.OffsetCommit, kmsg.OffsetFetch, kmsg.FindCoordinator}
		d.disturb(clients, d.brokers(), pick(d.rng, keys...))
	}},
	{"intercept relays", func(d *deed) { d.disturb(d.brokers(), d.nodes(), kmsg.Envelope) }},
}

// offsetsPlace draws a partition of __consumer_offsets.
func (d *deed) offsetsPlace() Place {
	return Place{metadata.OffsetsTopic, int32(d.rng.IntN(d.n.run.plan.OffsetsPartitions))}
}

// atGroups does something to the broker of some groups, if they have one.
func (d *deed) atGroups(do func(*brokersim.Broker)) {
	at := d.offsetsPlace()
	if b := d.n.run.cluster.Cluster.Leader(at.Topic, at.Partition); b != nil {
		do(b)
	}
}

// brokersBut are the ends of all brokers but one.
func (d *deed) brokersBut(b *brokersim.Broker) (others []brokersim.End) {
	for _, e := range d.brokers() {
		if e != brokersim.B(b.ID()) {
			others = append(others, e)
		}
	}
	return others
}
