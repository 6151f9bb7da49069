package brokersim

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Dump writes the state of the cluster as text, for failure messages: nodes, partitions with
// their replicas, groups with their lag, faults. Of internal topics it lists the partitions
// that are not in order, and counts the others.
func (c *Cluster) Dump(w io.Writer) {
	s := c.Snapshot()
	var b bytes.Buffer
	fmt.Fprintf(&b, "cluster %s, seed %d, metadata offset %d, event %d\n", c.id, c.cfg.seed, s.Offset, s.Seq)
	dumpNodes(&b, s)
	dumpPartitions(&b, worthALine(&b, s.Partitions))
	dumpGroups(&b, s)
	for _, f := range s.Faults {
		fmt.Fprintf(&b, "fault %d in force for %v: %s\n", f.ID, s.Time.Sub(f.From), f.What)
	}
	_, _ = w.Write(b.Bytes()) // it is for a person to read, and there is nobody else to tell
}

func dumpNodes(w io.Writer, s Snapshot) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, n := range s.Quorum.Nodes {
		role := ""
		if n.Name == s.Quorum.Active {
			role = fmt.Sprintf("active, term %d", s.Quorum.Epoch)
		}
		fmt.Fprintf(t, "%s\t%s\tmetadata %d\t%s\t%s\n", n.Name, n.Process, n.Offset, role, n.Failure)
	}
	for _, b := range s.Brokers {
		fmt.Fprintf(t, "broker-%d\t%s\tmetadata %d\t%s, broker epoch %d\t%s\t%s\n", b.ID, b.Process, b.Offset, b.Registration, b.Epoch, b.Rack, b.Failure)
	}
	_ = t.Flush()
}

func dumpPartitions(w io.Writer, partitions []PartitionState) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, p := range partitions {
		fmt.Fprintf(t, "%s-%d\tleader %d\tepoch %d.%d\treplicas %v\tISR %v\tELR %v\tlow %d\tHW %d\n",
			p.Topic, p.Partition, p.Leader, p.LeaderEpoch, p.PartitionEpoch, p.Assigned, p.ISR, p.ELR, p.LowWatermark, p.HighWatermark)
		for _, r := range p.Replicas {
			fmt.Fprintf(t, "  on %d\t%s\tepoch %d\tstart %d\tLEO %d\tHW %d\tepochs %s\n",
				r.Broker, strings.Join(r.roles(), ", "), r.LeaderEpoch, r.LogStart, r.LEO, r.HW, epochsText(r.EpochStarts))
		}
	}
	_ = t.Flush()
}

func (r ReplicaState) roles() (roles []string) {
	for _, role := range []struct {
		is   bool
		name string
	}{{r.Leads, "leads"}, {r.InSync, "in sync"}, {r.Eligible, "eligible"}} {
		if role.is {
			roles = append(roles, role.name)
		}
	}
	if len(roles) == 0 {
		return []string{"behind"}
	}
	return roles
}

// epochsText writes the newest epochs of a log, as in "3@120 4@131".
func epochsText(starts []EpochStart) string {
	const most = 5
	var texts []string
	if len(starts) > most {
		texts, starts = []string{"..."}, starts[len(starts)-most:]
	}
	for _, e := range starts {
		texts = append(texts, fmt.Sprintf("%d@%d", e.Epoch, e.Offset))
	}
	return strings.Join(texts, " ")
}
