package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// member runs one member of a group, life after life. Once ctx has ended it misbehaves no
// more, and works until stop ends.
func (r *run) member(ctx, stop context.Context, g *crowd, i int) {
	rng := rand.New(rand.NewPCG(r.plan.Seed, uint64(len(g.Name))*1000+uint64(g.number)*100+uint64(i)))
	for life := 0; g.enter(stop); life++ {
		m := &member{run: r, group: g, Member: g.Members[i], rng: rand.New(rand.NewPCG(rng.Uint64(), 7))}
		m.owner = Owner{Group: g.Name, Name: fmt.Sprintf("%s/m%d.%d", g.Name, i, life), Session: g.Session, Rebalance: g.Rebalance}
		if m.Static {
			m.owner.Instance = fmt.Sprint("static", i)
		}
		lives, end := g.shift(stop)
		if ctx.Err() == nil {
			end()
			lives, end = g.shift(ctx)
			lives, end = both(lives, end, between(rng, m.Lives/4, 2*m.Lives))
		}
		m.live(ctx, lives)
		end()
		if ctx.Err() == nil {
			sleep(ctx, millis(rng, 1, 3000))
		}
	}
}

func both(ctx context.Context, cancel context.CancelFunc, d time.Duration) (context.Context, context.CancelFunc) {
	shorter, end := context.WithTimeout(ctx, d)
	return shorter, func() { end(); cancel() }
}

// A member is one life of a consumer: a process of its own.
type member struct {
	Member
	run   *run
	group *crowd
	owner Owner
	rng   *rand.Rand
	wires wires
	cl    *kgo.Client
	id    string // as of the newest commit
	epoch int32

	mu      sync.Mutex
	sent    int // how often a commit was sent
	asked   int // when offsets were asked for, on the history's clock
	commits int
}

func (m *member) options() []kgo.Opt {
	m.wires.dial = m.run.cluster.Dial
	m.wires.tap = func() *tap { return &tap{asked: m.asks, answered: m.answered} }
	g := m.group
	opts := m.run.clientOptions(
		kgo.ConsumerGroup(g.Name), kgo.ConsumeTopics(work), kgo.DisableAutoCommit(), kgo.BlockRebalanceOnPoll(),
		kgo.SessionTimeout(g.Session), kgo.RebalanceTimeout(g.Rebalance), kgo.HeartbeatInterval(g.Heartbeat),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(300*time.Millisecond),
		kgo.OnPartitionsAssigned(m.assigned), kgo.OnPartitionsRevoked(m.revoked), kgo.OnPartitionsLost(m.revoked),
		kgo.OnOffsetsFetched(m.fetched), kgo.Balancers(g.balancer()),
	)
	if m.owner.Instance != "" {
		opts = append(opts, kgo.InstanceID(m.owner.Instance))
	}
	return append(opts, kgo.Dialer(m.wires.Dial))
}

// live works until lives ends, and then dies or leaves.
func (m *member) live(ctx, lives context.Context) {
	cl, err := kgo.NewClient(m.options()...)
	if err != nil {
		m.run.wrong("member: %v", err)
		return
	}
	m.cl = cl
	for lives.Err() == nil {
		m.round(ctx, lives)
	}
	if ctx.Err() == nil && m.Haunts {
		m.group.haunt(ctx, m)
	}
	patient := 2 * time.Second // to leave as is due
	if ctx.Err() == nil && m.rng.IntN(2) == 0 {
		m.run.history.Ended(m.owner)
		patient = 0 // it dies, and has no way to tell anybody
	}
	dies := time.AfterFunc(patient, m.wires.die)
	defer dies.Stop()
	cl.CloseAllowingRebalance() // once: what leaves twice at a time may never return
	m.run.history.Ended(m.owner)
}

// round polls, works and commits. No rebalance takes anything away meanwhile, but time may.
func (m *member) round(ctx, lives context.Context) {
	poll, cancel := context.WithTimeout(lives, 500*time.Millisecond)
	many := m.group.Poll
	if ctx.Err() != nil {
		many = 1000 // what is left is to be worked off
	}
	fetches := m.cl.PollRecords(poll, many)
	cancel()
	defer m.cl.AllowRebalance()
	n := 0
	fetches.EachRecord(func(rec *kgo.Record) {
		n++
		m.run.history.Delivered(m.group.Name, Place{rec.Topic, rec.Partition}, rec.Offset)
	})
	if n > 0 && ctx.Err() == nil {
		sleep(lives, between(m.rng, 0, 2*m.group.Work))
	}
	if m.Strolls > 0 && ctx.Err() == nil && m.rng.IntN(15) == 0 {
		thaw := m.wires.freeze()
		sleep(ctx, between(m.rng, m.Strolls/4, 2*m.Strolls))
		thaw()
	}
	if lives.Err() == nil {
		m.commit(m.cl.UncommittedOffsets())
	}
}

// commit commits what was worked off, under a note of its own.
func (m *member) commit(offsets map[string]map[int32]kgo.EpochOffset) {
	if len(offsets) == 0 {
		return
	}
	m.commits++
	note := fmt.Sprint(m.owner.Name, "/", m.commits)
	var begun []*Commit
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	ctx = kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error {
		m.id, m.epoch = req.MemberID, req.Generation
		m.mu.Lock()
		m.sent = 0
		m.mu.Unlock()
		begun = m.run.history.Commits(commitsOf(req, note)...)
		return nil
	})
	m.cl.CommitOffsetsSync(ctx, offsets, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
		m.mu.Lock()
		sent := m.sent
		m.mu.Unlock()
		m.run.history.endAll(begun, resp, err, sent <= 1)
	})
}

func (m *member) assigned(_ context.Context, cl *kgo.Client, given map[string][]int32) {
	id, generation := cl.GroupMetadata()
	m.run.history.Meets(id)
	if err := m.run.history.Assigned(m.owner, generation, placesOf(given), time.Now()); err != nil {
		m.run.wrong("%w", err)
	}
}

func (m *member) revoked(_ context.Context, _ *kgo.Client, taken map[string][]int32) {
	m.run.history.Released(m.owner, placesOf(taken))
}

func (m *member) fetched(_ context.Context, _ *kgo.Client, resp *kmsg.OffsetFetchResponse) error {
	m.mu.Lock()
	began := m.asked
	m.mu.Unlock()
	for _, g := range resp.Groups {
		m.run.history.showAll(g, m.owner.Name, began)
	}
	return nil
}

// asks is told what is sent.
func (m *member) asks(key int16) {
	now := m.run.history.Tick()
	m.mu.Lock()
	defer m.mu.Unlock()
	switch key {
	case offsetCommitKey:
		m.sent++
	case offsetFetchKey:
		m.asked = now
	}
}

// answered is told what the group says. Only who is a member is heard.
func (m *member) answered(_, code int16, sent time.Time) {
	if code == 0 || code == kerr.RebalanceInProgress.Code {
		m.run.history.Heard(m.owner, sent, code == 0)
	}
}

func placesOf(topics map[string][]int32) (places []Place) {
	for topic, partitions := range topics {
		for _, p := range partitions {
			places = append(places, Place{topic, p})
		}
	}
	return places
}
