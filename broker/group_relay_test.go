package broker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// noCoordinator kills every coordinator node, until somebody is back.
func (q *caller) noCoordinator() (back func()) {
	for _, n := range q.c.coordinators {
		q.c.kill(n)
	}
	return func() {
		for id := range q.c.coordinators {
			q.c.startCoordinator(id, false)
		}
	}
}

// While no coordinator can be reached, what needs a decision waits for one as long as its client
// does, but for deletions; what is decided already is told.
func TestGroupsWithoutACoordinator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newCaller(t)
		member, generation := q.stable("billing")
		gone, _ := q.stable("shipping")
		q.leave("shipping", gone)
		at, apart, elsewhere := q.at("billing"), q.apart("billing"), q.at("shipping")
		back := q.noCoordinator()

		end := kmsg.NewPtrDeleteGroupsRequest()
		end.Version, end.Groups = 2, []string{"shipping"}
		began := time.Now()
		deleted := ask[*kmsg.DeleteGroupsResponse](t, elsewhere, end).Groups[0]
		q.code(kerr.CoordinatorNotAvailable, deleted.ErrorCode)
		require.Equal(t, 5*time.Second, time.Since(began))

		describe := kmsg.NewPtrDescribeGroupsRequest()
		describe.Version, describe.Groups = 5, []string{"billing"}
		described := ask[*kmsg.DescribeGroupsResponse](t, at, describe).Groups[0]
		q.code(nil, described.ErrorCode)
		require.Equal(t, "Stable", described.State)
		require.Equal(t, member, described.Members[0].MemberID)

		beat := kmsg.NewPtrHeartbeatRequest()
		beat.Version, beat.Group, beat.MemberID, beat.Generation = 3, "billing", member, generation
		q.code(nil, ask[*kmsg.HeartbeatResponse](t, at, beat).ErrorCode)
		beat.Generation++
		q.code(kerr.IllegalGeneration, ask[*kmsg.HeartbeatResponse](t, at, beat).ErrorCode)

		joined := meanwhile[*kmsg.JoinGroupResponse](apart, joinRequest(5, "billing", member))
		time.Sleep(20 * time.Second)
		select {
		case resp := <-joined:
			t.Fatalf("a join is answered %v, and nobody can have decided", resp)
		default:
		}
		back()
		resp := <-joined
		q.code(nil, resp.ErrorCode)
		require.Equal(t, generation+1, resp.Generation)
	})
}
