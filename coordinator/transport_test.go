package coordinator

import (
	"testing"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

// A follower that answers a pipelined request with a newer term, while the leader
// is about to send the next one, would block the leader's sender for ever, and
// with it Close. A sender that awaits each answer cannot be caught like that.
func TestReplicationIsNotPipelined(t *testing.T) {
	bubble(t, 3, func(t *testing.T, r *rig) {
		r.startAll()
		n := r.active()
		peer := n.cfg.Peers[n.cfg.ID%3]
		_, err := n.transport.AppendEntriesPipeline(raft.ServerID(peer.Raft), raft.ServerAddress(peer.Raft))
		require.ErrorIs(t, err, raft.ErrPipelineReplicationNotSupported)
	})
}
