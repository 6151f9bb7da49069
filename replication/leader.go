package replication

import (
	"fmt"
	"slices"
	"time"

	"github.com/brokersim/brokersim/internal/guard"
	"github.com/brokersim/brokersim/metadata"
)

// A Leader decides for the leader of one partition: how far its followers are,
// where the high watermark stands, whom the ISR should contain. It is told what
// happens and answers what follows from it; it does nothing itself.
//
// One value serves all leaderships of a replica; Begin starts each. Not safe for
// concurrent use.
type Leader struct {
	self     int32
	id       metadata.TopicPartition
	settings LeaderSettings

	state      metadata.Partition // committed: as the metadata log has it
	epochStart int64              // log end offset when the leader epoch began
	logStart   int64
	logEnd     int64
	hw         int64
	followers  []follower // assigned replicas without self, in that order

	inFlight *Proposal // its outcome is not known from the metadata log yet
	again    bool      // inFlight is to be sent once more
	doubted  []int32   // proposed and refused at this partition epoch, and perhaps taken yet
}

// A follower is what the leader knows of another replica.
type follower struct {
	broker      int32
	brokerEpoch int64     // of its newest fetch; -1: none in this leader epoch
	session     int64     // likewise
	logEnd      int64     // its newest fetch offset; -1: none in this leader epoch
	logStart    int64     // that its disk remembers, by its newest fetch; -1: none in this leader epoch
	caughtUp    time.Time // when it last had everything; zero: never in this leader epoch

	fetched         time.Time // when its newest fetch came
	leaderEndBefore int64     // the leader's log end at that moment
}

// LeaderSettings is what a leader goes by beside the partition's state.
type LeaderSettings struct {
	MinISR     int           // effective min.insync.replicas
	LagTimeMax time.Duration // replica.lag.time.max.ms
	SelfEpoch  int64         // the leader's own broker epoch
}

// A Moment is when something happens, and what is known of the brokers then.
type Moment struct {
	Now     time.Time
	Brokers Brokers
}

// Brokers tells the newest registration of a broker; *metadata.Image does.
type Brokers interface {
	Broker(id int32) (metadata.Broker, bool)
}

// A Consequence is what follows for the driver from something that happened.
type Consequence struct {
	Advanced bool      // the high watermark moved
	Trimmed  bool      // a follower's log start moved
	Propose  *Proposal // to send to the coordinator
}

// NewLeader returns the decider of broker self for a partition; it leads nothing yet.
func NewLeader(self int32, id metadata.TopicPartition) *Leader {
	return &Leader{self: self, id: id}
}

// Configure takes new settings. What follows from them is seen at the next event.
func (l *Leader) Configure(s LeaderSettings) { l.settings = s }

// Begin starts the leadership that state announces. logEnd is the log end
// offset, where the epoch starts; hw is the replica's high watermark so far, and
// the leader's first one: what this replica knows to be committed.
func (l *Leader) Begin(state metadata.Partition, logEnd, hw int64, at Moment) Consequence {
	l.state, l.inFlight, l.again, l.doubted = state, nil, false, nil
	l.epochStart, l.logEnd, l.hw = logEnd, logEnd, min(hw, logEnd)
	l.assign()
	if guard.FetchedInEpoch.Holds() {
		for i := range l.followers {
			l.followers[i] = unknownFollower(l.followers[i].broker)
		}
	}
	for i := range l.followers {
		// The ISR gets a full lag time to find its new leader.
		if f := &l.followers[i]; slices.Contains(state.ISR, f.broker) {
			f.caughtUp = at.Now
		}
	}
	return l.follow(at)
}

// assign makes the followers match the assigned replicas. One that was assigned
// all along keeps its progress.
func (l *Leader) assign() {
	followers := make([]follower, 0, len(l.state.Replicas))
	for _, broker := range l.state.Replicas {
		if broker == l.self {
			continue
		}
		if f := l.follower(broker); f != nil {
			followers = append(followers, *f)
		} else {
			followers = append(followers, unknownFollower(broker))
		}
	}
	l.followers = followers
}

func unknownFollower(broker int32) follower {
	return follower{broker: broker, brokerEpoch: -1, logEnd: -1, logStart: -1}
}

func (l *Leader) follower(broker int32) *follower {
	for i := range l.followers {
		if l.followers[i].broker == broker {
			return &l.followers[i]
		}
	}
	return nil
}

// StartsAt says that the leader's own log starts at an offset.
func (l *Leader) StartsAt(offset int64) { l.logStart = offset }

// Appended says that the leader's own log now ends at logEnd.
func (l *Leader) Appended(logEnd int64, at Moment) Consequence {
	if logEnd <= l.logEnd {
		return Consequence{}
	}
	for i := range l.followers {
		// Until now this follower had everything: its lag begins here, however
		// long ago it last had a reason to fetch.
		if f := &l.followers[i]; f.logEnd >= l.logEnd {
			f.caughtUp = at.Now
		}
	}
	l.logEnd = logEnd
	return Consequence{Advanced: l.advance(at)}
}

// A FollowerFetch is a fetch of a follower that was found to share the leader's
// history up to Offset.
type FollowerFetch struct {
	Broker      int32
	BrokerEpoch int64
	Session     int64 // a later one has a larger number
	Offset      int64 // the follower's log end offset
	LogStart    int64 // that its disk remembers
}

// Fetched says how far a follower is. Errors:
//   - ErrUnknownLeaderEpoch: it is not among the replicas. It knows of a newer
//     assignment, or the leader does; either will hear.
//   - ErrNotLeaderOrFollower: a fetch that an earlier incarnation of the broker sent, or that
//     was overtaken by one of a later session: what it says was true before.
func (l *Leader) Fetched(f FollowerFetch, at Moment) (Consequence, error) {
	r := l.follower(f.Broker)
	if r == nil {
		return Consequence{}, fmt.Errorf("broker %d is no replica at partition epoch %d: %w",
			f.Broker, l.state.PartitionEpoch, metadata.ErrUnknownLeaderEpoch)
	}
	if f.BrokerEpoch < r.brokerEpoch {
		return Consequence{}, fmt.Errorf("broker %d fetches with broker epoch %d, known as %d: %w",
			f.Broker, f.BrokerEpoch, r.brokerEpoch, metadata.ErrNotLeaderOrFollower)
	}
	if f.BrokerEpoch == r.brokerEpoch && f.Session < r.session {
		return Consequence{}, fmt.Errorf("broker %d fetches in session %d, known in %d: %w",
			f.Broker, f.Session, r.session, metadata.ErrNotLeaderOrFollower)
	}
	moved := f.Offset != r.logEnd || f.BrokerEpoch != r.brokerEpoch
	trimmed := f.LogStart != r.logStart
	r.progress(f, l.logEnd, at.Now)
	if !moved && l.inISR(r.broker) {
		return Consequence{Trimmed: trimmed}, nil
	}
	c := l.follow(at)
	c.Trimmed = trimmed
	return c, nil
}

// progress records a fetch. A follower has caught up when it asks for what is
// not there yet. It also has when it asks for what was not there when it asked
// before: on a busy partition the end moves on between any two fetches.
func (f *follower) progress(fetch FollowerFetch, leaderEnd int64, now time.Time) {
	if fetch.BrokerEpoch != f.brokerEpoch && f.brokerEpoch >= 0 {
		*f = unknownFollower(f.broker) // its process is another one, its log perhaps, too
	}
	switch {
	case fetch.Offset >= leaderEnd:
		f.caughtUp = now
	case !f.fetched.IsZero() && fetch.Offset >= f.leaderEndBefore && f.fetched.After(f.caughtUp):
		f.caughtUp = f.fetched
	}
	f.brokerEpoch, f.session, f.logEnd, f.logStart = fetch.BrokerEpoch, fetch.Session, fetch.Offset, fetch.LogStart
	f.fetched, f.leaderEndBefore = now, leaderEnd
}

// follow moves the high watermark and the ISR as far as they now go.
func (l *Leader) follow(at Moment) Consequence {
	advanced := l.advance(at)
	return Consequence{Advanced: advanced, Propose: l.propose(at, false)}
}

// HighWatermark is the first offset that is not committed.
func (l *Leader) HighWatermark() int64 { return l.hw }

// EpochStart is the log end offset at which the leader epoch began.
func (l *Leader) EpochStart() int64 { return l.epochStart }

// EndOffset is the end of the partition as clients may know it. Before the high
// watermark has reached the start of the leader's epoch it is ErrOffsetNotAvailable:
// the leader before may have told a higher one (KIP-207).
func (l *Leader) EndOffset() (int64, error) {
	if l.hw < l.epochStart && guard.EpochReached.Holds() {
		return -1, fmt.Errorf("high watermark %d has not reached %d, where leader epoch %d begins: %w",
			l.hw, l.epochStart, l.state.LeaderEpoch, metadata.ErrOffsetNotAvailable)
	}
	return l.hw, nil
}

// advance moves the high watermark to the smallest log end among the maximal ISR
// and those about to join it, never back. It stands still while the ISR is
// smaller than min.insync.replicas (KIP-966): whoever leaves the ISR then still
// has all that is committed, which is what makes the ELR eligible.
func (l *Leader) advance(at Moment) bool {
	if l.UnderMinISR() {
		return false
	}
	hw := l.logEnd
	for i := range l.followers {
		f := &l.followers[i]
		if f.logEnd < hw && (l.inMaximalISR(f.broker) || l.joinsSoon(f, at)) {
			hw = f.logEnd
		}
	}
	if hw <= l.hw {
		return false
	}
	l.hw = hw
	return true
}

// UnderMinISR reports whether the committed ISR is too small for acks=all.
func (l *Leader) UnderMinISR() bool { return len(l.state.ISR) < l.settings.MinISR }
