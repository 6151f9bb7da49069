package simulation

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim"
)

// A fault is one sort of harm. do begins it, waits and undoes it.
type fault struct {
	name string
	do   func(d *deed)
}

// menu is everything that can befall a cluster here.
var menu = []fault{
	{"kill", func(d *deed) { d.restart(d.broker(), (*brokersim.Broker).Kill) }},
	{"bounce", func(d *deed) { d.lasts /= 100; d.restart(d.broker(), (*brokersim.Broker).Kill) }},
	{"power off", powerOff},
	{"stop", func(d *deed) { d.restart(d.broker(), (*brokersim.Broker).Stop) }},
	{"wipe", wipe},
	{"pause", pause},
	{"isolate", func(d *deed) { d.link(d.broker().Isolate()) }},
	{"cut brokers", func(d *deed) { a, b := d.ends(d.brokers()); d.link(d.net().Cut(a, b)) }},
	{"cut anybody", func(d *deed) {
		a, b := d.ends(slices.Concat(d.brokers(), d.nodes(), []brokersim.End{brokersim.Clients}))
		d.link(d.net().Cut(a, b))
	}},
	{"cut clients", func(d *deed) { a, _ := d.ends(d.brokers()); d.link(d.net().Cut(a, []brokersim.End{brokersim.Clients})) }},
	{"one way", func(d *deed) {
		a, b := d.ends(slices.Concat(d.brokers(), d.nodes()))
		d.link(d.net().OneWay(a, b))
	}},
	{"latency", func(d *deed) {
		a, b := d.ends(slices.Concat(d.brokers(), d.nodes(), []brokersim.End{brokersim.Clients}))
		d.link(d.net().Latency(a, b, millis(d.rng, 1, 400), millis(d.rng, 1, 300)))
	}},
	{"loss", func(d *deed) {
		all := slices.Concat(d.brokers(), d.nodes(), []brokersim.End{brokersim.Clients})
		d.link(d.net().Loss(all, all, 0.05+0.9*d.rng.Float64()))
	}},
	{"slow disk", func(d *deed) { d.link(d.broker().Disk().Slow(millis(d.rng, 1, 500), millis(d.rng, 1, 2000))) }},
	{"slow coordinator disk", func(d *deed) { d.link(d.node().Disk().Slow(millis(d.rng, 1, 200), millis(d.rng, 1, 500))) }},
	{"intercept", intercept},
	{"kill coordinator", func(d *deed) { d.restartNode(d.node(), (*brokersim.Node).Kill) }},
	{"power off coordinator", func(d *deed) { d.restartNode(d.node(), (*brokersim.Node).PowerOff) }},
	{"pause coordinator", pauseNode},
	{"isolate coordinator", func(d *deed) { d.link(d.node().Isolate()) }},
	{"preferred election", elect},
	{"leaders in a row", leadersInARow},
	{"restart of all", restartAll},
	{"delete records", deleteRecords},
	{"full disk", func(d *deed) { d.ill((*brokersim.Disk).Full) }},
	{"failing disk", failing},
	{"rot", rot},
}

func (d *deed) net() *brokersim.Network { return d.n.run.cluster.Net() }

// link lets a fault be in force for a while.
func (d *deed) link(f *brokersim.Fault) {
	d.say("%v, for %v", f, d.lasts)
	d.wait()
	f.Heal()
}

// restart ends a broker one way or another, and starts it after a while.
func (d *deed) restart(b *brokersim.Broker, end func(*brokersim.Broker) error) {
	if !d.n.take(b.Name()) {
		return
	}
	defer d.n.release(b.Name())
	d.say("%s, for %v", b.Name(), d.lasts)
	d.down(b, end)
	d.wait()
	d.up(b)
}

func (d *deed) down(b *brokersim.Broker, end func(*brokersim.Broker) error) {
	if err := end(b); err != nil {
		d.say("%v", err)
	}
}

func (d *deed) up(b *brokersim.Broker) {
	if b.Process().Up() {
		return
	}
	if err := b.Start(); err != nil {
		d.n.run.wrong("%s does not start: %v", b.Name(), err)
	}
}

func powerOff(d *deed) {
	b := d.broker()
	if !d.n.take(b.Name()) {
		return
	}
	defer d.n.release(b.Name())
	if !d.n.run.plan.powerIsHarmless() && !d.n.mayLose(b.ID()) {
		return
	}
	d.say("%s, for %v", b.Name(), d.lasts)
	d.down(b, (*brokersim.Broker).PowerOff)
	d.wait()
	d.up(b)
}

func wipe(d *deed) {
	b := d.broker()
	if !d.n.take(b.Name()) {
		return
	}
	defer d.n.release(b.Name())
	if !d.n.mayLose(b.ID()) {
		return
	}
	d.say("%s, for %v", b.Name(), d.lasts)
	d.down(b, pick(d.rng, (*brokersim.Broker).Stop, (*brokersim.Broker).Kill, (*brokersim.Broker).PowerOff))
	if err := b.Wipe(); err != nil {
		d.say("%v", err)
	}
	d.wait()
	d.up(b)
}

func pause(d *deed) {
	b := d.broker()
	if !d.n.take(b.Name()) {
		return
	}
	defer d.n.release(b.Name())
	d.say("%s, for %v", b.Name(), d.lasts)
	b.Pause()
	d.wait()
	if d.rng.IntN(4) == 0 {
		d.say("%s is killed while paused", b.Name())
		d.down(b, (*brokersim.Broker).Kill)
		d.up(b)
		return
	}
	b.Resume()
}

func (d *deed) restartNode(n *brokersim.Node, end func(*brokersim.Node) error) {
	if !d.n.take(n.Name()) {
		return
	}
	defer d.n.release(n.Name())
	d.say("%s, for %v", n.Name(), d.lasts)
	if err := end(n); err != nil {
		d.say("%v", err)
	}
	d.wait()
	d.upNode(n)
}

func (d *deed) upNode(n *brokersim.Node) {
	if n.Process().Up() {
		return
	}
	if err := n.Start(); err != nil {
		d.n.run.wrong("%s does not start: %v", n.Name(), err)
	}
}

func pauseNode(d *deed) {
	n := d.node()
	if !d.n.take(n.Name()) {
		return
	}
	defer d.n.release(n.Name())
	d.say("%s, for %v", n.Name(), d.lasts)
	n.Pause()
	d.wait()
	n.Resume()
}

// intercept disturbs one sort of message. Of the requests that change something,
// losing the answer after the effect is the interesting part.
func intercept(d *deed) {
	between := []struct {
		key      kmsg.Key
		from, to []brokersim.End
	}{
		{kmsg.AlterPartition, d.brokers(), d.nodes()},
		{kmsg.BrokerHeartbeat, d.brokers(), d.nodes()},
		{kmsg.BrokerRegistration, d.brokers(), d.nodes()},
		{kmsg.AllocateProducerIDs, d.brokers(), d.nodes()},
		{kmsg.Fetch, d.brokers(), d.brokers()},
		{kmsg.Fetch, d.brokers(), d.nodes()},
		{kmsg.Fetch, []brokersim.End{brokersim.Clients}, d.brokers()},
		{kmsg.Produce, []brokersim.End{brokersim.Clients}, d.brokers()},
		{kmsg.InitProducerID, []brokersim.End{brokersim.Clients}, d.brokers()},
		{kmsg.Metadata, []brokersim.End{brokersim.Clients}, d.brokers()},
	}
	m := pick(d.rng, between...)
	d.disturb(m.from, m.to, m.key)
}

// disturb has one sort of message come late, or get lost, or its answer.
func (d *deed) disturb(from, to []brokersim.End, key kmsg.Key) {
	if d.rng.IntN(2) == 0 {
		from = from[:1+d.rng.IntN(len(from))]
	}
	actions := []brokersim.Action{brokersim.Delay(millis(d.rng, 5, 3000)), brokersim.DropRequest, brokersim.DropResponse}
	d.link(d.net().Intercept(from, to, key.Int16(), pick(d.rng, actions...)))
}

// elect asks for the preferred leaders, as an operator would.
func elect(d *deed) {
	cl, err := kgo.NewClient(d.n.run.clientOptions()...)
	if err != nil {
		d.n.run.wrong("client: %v", err)
		return
	}
	defer cl.Close()
	d.say("of every partition")
	ctx, cancel := context.WithTimeout(d.ctx, 5*time.Second)
	defer cancel()
	req := kmsg.NewPtrElectLeadersRequest()
	req.TimeoutMillis = 5000
	_, _ = req.RequestWith(ctx, cl) // it may well be refused
}

// leadersInARow takes one leader of a partition after another away, faster than
// followers can catch up.
func leadersInARow(d *deed) { d.inARow(pick(d.rng, d.n.run.plan.places()...)) }

func (d *deed) inARow(at Place) {
	for range 2 + d.rng.IntN(4) {
		b := d.n.run.cluster.Cluster.Leader(at.Topic, at.Partition)
		if b != nil && d.n.take(b.Name()) {
			d.say("%v: %s is killed", at, b.Name())
			d.down(b, (*brokersim.Broker).Kill)
			sleep(d.ctx, millis(d.rng, 1, 200))
			d.up(b)
			d.n.release(b.Name())
		}
		if !sleep(d.ctx, millis(d.rng, 1, 500)) {
			return
		}
	}
}

// restartAll ends everything at about the same time and starts it again in some
// other order.
func restartAll(d *deed) {
	brokers, nodes := d.n.run.cluster.Brokers(), d.n.run.cluster.Coordinator().Nodes()
	var names []string
	for _, b := range brokers {
		names = append(names, b.Name())
	}
	for _, n := range nodes {
		names = append(names, n.Name())
	}
	if !d.n.take(names...) {
		return
	}
	defer d.n.release(names...)
	power := d.n.run.plan.powerIsHarmless() && d.rng.IntN(2) == 0
	endBroker, endNode := (*brokersim.Broker).Kill, (*brokersim.Node).Kill
	if power {
		endBroker, endNode = (*brokersim.Broker).PowerOff, (*brokersim.Node).PowerOff
	}
	d.say("power loss %v, for %v", power, d.lasts)
	var steps []func()
	for _, b := range brokers {
		d.down(b, endBroker)
		steps = append(steps, func() { d.up(b) })
	}
	for _, n := range nodes {
		if err := endNode(n); err != nil {
			d.say("%v", err)
		}
		steps = append(steps, func() { d.upNode(n) })
	}
	d.wait()
	d.rng.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	for _, up := range steps {
		up()
		sleep(d.ctx, millis(d.rng, 1, 800))
	}
}
