package replication

import (
	"fmt"
	"strings"

	"github.com/brokersim/brokersim/metadata"
)

// A Proposal is a leader's wish to change the ISR: the content of AlterPartition.
// The coordinator takes it only if the partition is still at PartitionEpoch, and
// only the metadata log says that it did.
type Proposal struct {
	ID             metadata.TopicPartition
	LeaderEpoch    int32
	PartitionEpoch int32 // of the state that the proposal was made from: compare and set
	ISR            []ISRMember
	// Recovered is always true: a leader that was elected uncleanly has nothing
	// left to recover once it leads.
	Recovered bool
}

// An ISRMember is a broker of a proposed ISR under the registration that the
// leader means (KIP-903).
type ISRMember struct {
	Broker int32
	Epoch  int64 // -1: it has not fetched in this leader epoch, so the leader cannot tell
}

func (p Proposal) String() string {
	var b strings.Builder
	for i, m := range p.ISR {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%d", m.Broker)
	}
	return fmt.Sprintf("ISR [%s] at partition epoch %d", b.String(), p.PartitionEpoch)
}

// contains reports whether the proposed ISR has the broker.
func (p *Proposal) contains(broker int32) bool {
	for _, m := range p.ISR {
		if m.Broker == broker {
			return true
		}
	}
	return false
}
