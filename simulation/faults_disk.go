package simulation

import (
	"context"
	"slices"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
)

// ill makes a disk ill for a while. Its broker may give up, and is started again
// when the disk is well.
func (d *deed) ill(how func(*brokersim.Disk) *brokersim.Fault) {
	if b := d.broker(); d.n.take(b.Name()) {
		defer d.n.release(b.Name())
		d.suffer(b, how)
	}
}

func (d *deed) suffer(b *brokersim.Broker, how func(*brokersim.Disk) *brokersim.Fault) (gaveUp bool) {
	f := how(b.Disk())
	d.say("%v, for %v", f, d.lasts)
	d.wait()
	f.Heal()
	time.Sleep(100 * time.Millisecond) // what failed before may not be over yet
	gaveUp = !b.Process().Up()
	d.up(b)
	return gaveUp
}

// failing has a disk fail. After a sync that failed nobody knows what is on it, so a broker
// that gave up over that may have lost records.
func failing(d *deed) {
	b := d.broker()
	if !d.n.take(b.Name()) {
		return
	}
	defer d.n.release(b.Name())
	before := d.n.hasLost(b.ID())
	if !d.n.mayLose(b.ID()) {
		return
	}
	if !d.suffer(b, func(disk *brokersim.Disk) *brokersim.Fault { return disk.Fail(syscall.EIO) }) && !before {
		d.n.lostNothing(b.ID())
	}
}

// rot flips a bit of a log below a broker that runs, is down, or is started again
// soon. Nobody may notice for long; so the broker counts as one that lost records
// until the end.
func rot(d *deed) {
	b := d.broker()
	if !d.n.take(b.Name()) {
		return
	}
	defer d.n.release(b.Name())
	if !d.n.mayLose(b.ID()) {
		return
	}
	d.n.mu.Lock()
	d.n.rotten[b.ID()] = true
	d.n.mu.Unlock()
	end := pick(d.rng, nil, nil, (*brokersim.Broker).Stop, (*brokersim.Broker).Kill)
	if end != nil {
		d.down(b, end)
	}
	at := pick(d.rng, d.n.run.plan.places()...)
	where, err := b.Rot(at.Topic, at.Partition, d.rng.Float64())
	d.say("%s: %s, %v; for %v", b.Name(), where, err, d.lasts)
	d.wait()
	d.up(b)
}

// nurse starts brokers again that gave up over what rots below them.
func (n *nemesis) nurse(ctx context.Context) {
	for sleep(ctx, 100*time.Millisecond) {
		for _, b := range n.run.cluster.Brokers() {
			if b.Process().Up() || !n.isRotten(b.ID()) || !n.take(b.Name()) {
				continue
			}
			(&deed{n: n, ctx: ctx, name: "nurse"}).up(b)
			n.release(b.Name())
		}
	}
}

func (n *nemesis) isRotten(id int32) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.rotten[id]
}

// deleteRecords has the older part of a partition deleted.
func deleteRecords(d *deed) {
	places := slices.DeleteFunc(d.n.run.plan.places(), func(p Place) bool { return !d.n.run.plan.topic(p.Topic).Forgets })
	if len(places) == 0 {
		return
	}
	at := pick(d.rng, places...)
	below := int64(float64(d.n.run.cluster.Partition(at.Topic, at.Partition).HighWatermark) * d.rng.Float64())
	cl, err := kgo.NewClient(d.n.run.clientOptions()...)
	if err != nil {
		d.n.run.wrong("client: %v", err)
		return
	}
	defer cl.Close()
	d.say("%v below %d", at, below)
	d.n.run.history.Wished(at, below)
	ctx, cancel := context.WithTimeout(d.ctx, 5*time.Second)
	defer cancel()
	var offsets kadm.Offsets
	offsets.Add(kadm.Offset{Topic: at.Topic, Partition: at.Partition, At: below})
	res, err := kadm.NewClient(cl).DeleteRecords(ctx, offsets)
	if one, ok := res.Lookup(at.Topic, at.Partition); err == nil && ok && one.Err == nil {
		d.say("%v begins at %d", at, one.LowWatermark)
		d.n.run.history.Granted(at, one.LowWatermark)
	}
}
