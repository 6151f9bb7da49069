package brokersim

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/brokersim/brokersim/metadata"
)

// dumpGroups writes the groups, what their members own, and how far they are behind.
func dumpGroups(w io.Writer, s Snapshot) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, g := range s.Groups {
		fmt.Fprintf(t, "group %s\t%s\tgeneration %d\tprotocol %q\tbroker %d\n", g.ID, g.State, g.Generation, g.Protocol, g.Broker)
		for _, m := range g.Members {
			fmt.Fprintf(t, "  member %s\t%s\tclient %s\tat %s\towns %s\n", m.ID, m.role(g), m.ClientID, m.Host, ownedText(m.Owns))
		}
		for _, tp := range slices.SortedFunc(maps.Keys(g.Offsets), byTopicAndNumber) {
			p, ok := s.Partition(tp.Topic, tp.Partition)
			if offset := g.Offsets[tp]; ok && p.HighWatermark >= 0 {
				fmt.Fprintf(t, "  %v\tcommitted %d\tHW %d\tlag %d\n", tp, offset, p.HighWatermark, p.HighWatermark-offset)
			} else {
				fmt.Fprintf(t, "  %v\tcommitted %d\tnobody leads it\n", tp, offset)
			}
		}
		if g.Offsets == nil {
			fmt.Fprintf(t, "  no broker knows what it has committed\n")
		}
	}
	_ = t.Flush()
}

// role is what a member is beside a member.
func (m GroupMember) role(g GroupState) string {
	var roles []string
	if m.ID == g.Leader {
		roles = append(roles, "leads the group")
	}
	if m.Instance != "" {
		roles = append(roles, "instance "+m.Instance)
	}
	return strings.Join(roles, ", ")
}

// ownedText is "orders[0 1] bills[2]".
func ownedText(owns map[string][]int32) string {
	var texts []string
	for _, topic := range slices.Sorted(maps.Keys(owns)) {
		texts = append(texts, fmt.Sprintf("%s%v", topic, owns[topic]))
	}
	if len(texts) == 0 {
		return "nothing"
	}
	return strings.Join(texts, " ")
}

// worthALine leaves out the partitions of internal topics that are in order, and says
// in a line how many those are.
func worthALine(w io.Writer, all []PartitionState) (rest []PartitionState) {
	inOrder, topics := map[string]int{}, map[string]int{}
	for _, p := range all {
		led, _ := hasLeader(p)
		if metadata.InternalTopic(p.Topic) {
			topics[p.Topic]++
			if led && len(p.ISR) == len(p.Assigned) {
				inOrder[p.Topic]++
				continue
			}
		}
		rest = append(rest, p)
	}
	for _, topic := range slices.Sorted(maps.Keys(topics)) {
		fmt.Fprintf(w, "%s: %d of %d partitions are led and in sync\n", topic, inOrder[topic], topics[topic])
	}
	return rest
}
