package groups

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func billing(id string) member { return member{"billing", id} }

// binds tells for how long promises keep an assignment of a generation from a member.
func (p *promises) binds(who member, generation int32, rejoined ...string) time.Duration {
	until, _ := p.open(who, generation, func(id string) bool { return slices.Contains(rejoined, id) }, time.Now())
	if until.IsZero() {
		return 0
	}
	return time.Until(until)
}

func hasSettled(settled <-chan struct{}) bool {
	select {
	case <-settled:
		return true
	default:
		return false
	}
}

// inPromises runs a test of promises in virtual time, in which a has been promised ten seconds in generation 1.
func inPromises(t *testing.T, f func(t *testing.T, p *promises)) {
	synctest.Test(t, func(t *testing.T) {
		p := newPromises()
		p.make(billing("a"), nil, 1, time.Now().Add(10*time.Second), time.Now())
		f(t, p)
	})
}

func TestAPromiseBindsOthersInLaterGenerations(t *testing.T) {
	inPromises(t, func(t *testing.T, p *promises) {
		require.Equal(t, 10*time.Second, p.binds(billing("b"), 2))
		require.Equal(t, 10*time.Second, p.binds(billing("b"), 7))
		require.Zero(t, p.binds(billing("b"), 1), "its own generation's assignment breaks none")
		require.Zero(t, p.binds(billing("a"), 2), "nor does its own")
		require.Zero(t, p.binds(member{"shipping", "b"}, 2), "nor another group's")
		require.Zero(t, p.binds(billing("b"), 2, "a"), "it has rejoined")

		p.make(billing("c"), nil, 1, time.Now().Add(4*time.Second), time.Now())
		require.Equal(t, 10*time.Second, p.binds(billing("b"), 2), "the last one to end counts")
		require.Equal(t, 4*time.Second, p.binds(billing("b"), 2, "a"))
		time.Sleep(10*time.Second - time.Nanosecond)
		require.Equal(t, time.Nanosecond, p.binds(billing("b"), 2))
		time.Sleep(time.Nanosecond)
		until, _ := p.open(billing("b"), 2, func(string) bool { return false }, time.Now())
		require.Zero(t, until, "it is over")
	})
}

func TestANewPromiseTakesThePlaceOfTheOld(t *testing.T) {
	inPromises(t, func(t *testing.T, p *promises) {
		time.Sleep(3 * time.Second)
		p.make(billing("a"), nil, 2, time.Now().Add(10*time.Second), time.Now())
		require.Zero(t, p.binds(billing("b"), 2))
		require.Equal(t, 10*time.Second, p.binds(billing("b"), 3))
	})
}

func TestAPromiseIsTakenBack(t *testing.T) {
	inPromises(t, func(t *testing.T, p *promises) {
		_, settled := p.open(billing("b"), 2, func(string) bool { return false }, time.Now())
		p.release(billing("c"), nil)
		p.release(member{"shipping", "a"}, nil)
		require.False(t, hasSettled(settled), "to somebody else")
		require.Equal(t, 10*time.Second, p.binds(billing("b"), 2))
		p.release(billing("a"), nil)
		require.True(t, hasSettled(settled), "who waits for it looks again")
		require.Zero(t, p.binds(billing("b"), 2))
		_, settled = p.open(billing("b"), 2, func(string) bool { return false }, time.Now())
		require.False(t, hasSettled(settled), "and waits anew")
	})
}

// The next process of a static member has another id, and speaks for both.
func TestTheNextProcessTakesBackWhatWasPromisedToTheLast(t *testing.T) {
	inPromises(t, func(t *testing.T, p *promises) {
		till, scale := "till", "scale"
		in := time.Now().Add(20 * time.Second)
		p.release(billing("a"), nil)
		p.make(billing("till-1"), &till, 1, in, time.Now())
		p.make(member{"shipping", "till-1"}, &till, 1, in, time.Now())
		p.make(billing("scale-1"), &scale, 1, in.Add(-time.Second), time.Now())
		_, settled := p.open(billing("b"), 2, func(string) bool { return false }, time.Now())
		p.release(billing("till-2"), &till)
		require.True(t, hasSettled(settled))
		require.Equal(t, 19*time.Second, p.binds(billing("b"), 2), "another instance")
		require.Equal(t, 20*time.Second, p.binds(member{"shipping", "b"}, 2), "another group")
		p.release(billing("scale-2"), nil)
		require.Equal(t, 19*time.Second, p.binds(billing("b"), 2), "it did not say that it is the scale")
	})
}

// What members ask that shows that they know better takes a promise back, and nothing else does.
func TestWhatTakesAPromiseBack(t *testing.T) {
	join, sync, beat, commit := kmsg.NewPtrJoinGroupRequest(), kmsg.NewPtrSyncGroupRequest(), kmsg.NewPtrHeartbeatRequest(), kmsg.NewPtrOffsetCommitRequest()
	join.Group, join.MemberID = "billing", "a"
	sync.Group, sync.MemberID = "billing", "a"
	beat.Group, beat.MemberID = "billing", "a"
	commit.Group, commit.MemberID = "billing", "a"
	left, others, all := kmsg.NewPtrLeaveGroupRequest(), kmsg.NewPtrLeaveGroupRequest(), kmsg.NewPtrLeaveGroupRequest()
	left.Group, left.MemberID = "billing", "a"
	others.Group, others.Members = "billing", []kmsg.LeaveGroupRequestMember{{MemberID: "c"}, {MemberID: "d"}}
	all.Group, all.Members = "billing", []kmsg.LeaveGroupRequestMember{{MemberID: "c"}, {MemberID: "a"}}
	for _, c := range []struct {
		name string
		req  kmsg.Request
		back bool
	}{
		{"a join, which may fail", join, false}, {"a sync", sync, true}, {"it leaves", left, true}, {"it leaves with others", all, true},
		{"others leave", others, false}, {"a heartbeat", beat, false}, {"a commit", commit, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			inPromises(t, func(t *testing.T, p *promises) {
				s := &shard{promises: p}
				s.heardOf(c.req)
				require.Equal(t, c.back, p.binds(billing("b"), 2) == 0)
			})
		})
	}
}

// Who is told that it is no member, or not in this generation, has nothing to count on once it has taken
// that in; who is told to rejoin has, until it has rejoined.
func TestAnAnswerEndsAPromise(t *testing.T) {
	const all = 10 * time.Second
	for code, left := range map[int16]struct{ beat, join time.Duration }{
		0: {all, 0}, 25: {takenIn, takenIn}, 22: {takenIn, takenIn}, 82: {takenIn, takenIn}, 27: {all, all}, 15: {all, all}, 16: {all, all}, 79: {all, all},
	} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			inPromises(t, func(t *testing.T, p *promises) {
				s := &shard{promises: p}
				_, settled := p.open(billing("b"), 2, func(string) bool { return false }, time.Now())
				beat := kmsg.NewPtrHeartbeatRequest()
				beat.Group, beat.MemberID = "billing", "a"
				answer := kmsg.NewPtrHeartbeatResponse()
				answer.ErrorCode = code
				s.told(beat, answer)
				require.Equal(t, left.beat, p.binds(billing("b"), 2))
				require.Equal(t, left.beat < all, hasSettled(settled), "who waits for it looks again")
			})
			inPromises(t, func(t *testing.T, p *promises) {
				s := &shard{promises: p}
				join := kmsg.NewPtrJoinGroupRequest()
				join.Group, join.MemberID = "billing", "a"
				answer := kmsg.NewPtrJoinGroupResponse()
				answer.ErrorCode = code
				s.told(join, answer)
				require.Equal(t, left.join, p.binds(billing("b"), 2))
				time.Sleep(left.join)
				s.told(join, answer)
				require.Zero(t, p.binds(billing("b"), 2), "it does not begin again")
			})
		})
	}
}

// Promises that are over are dropped when there are many; one that binds never is.
func TestPromisesAreBounded(t *testing.T) {
	inPromises(t, func(t *testing.T, p *promises) {
		for i := range fewPromises - 1 {
			p.make(billing(fmt.Sprint(i)), nil, 1, time.Now().Add(time.Second), time.Now())
		}
		require.Equal(t, fewPromises, p.n)
		time.Sleep(time.Second)
		p.make(member{"shipping", "first"}, nil, 1, time.Now().Add(2*time.Second), time.Now())
		require.Equal(t, 2, p.n)
		require.Len(t, p.made["billing"], 1)
		require.Equal(t, 9*time.Second, p.binds(billing("b"), 2))
		for i := range 3 * fewPromises {
			p.make(billing(fmt.Sprint(i)), nil, 1, time.Now().Add(time.Second), time.Now())
		}
		require.Equal(t, 3*fewPromises+2, p.n, "none of them is over")
		p.release(billing("0"), nil)
		require.Equal(t, 3*fewPromises+1, p.n)
		time.Sleep(20 * time.Second)
		p.sweep(time.Now())
		require.Empty(t, p.made)
		require.Zero(t, p.n)
	})
}
