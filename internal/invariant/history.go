package invariant

import "fmt"

// A History remembers elections and generations. Its zero value is empty; it is not safe for
// concurrent use.
type History struct {
	leaders map[reign]int32
	newest  map[place]int32

	generations map[string]int32 // the newest of each group
}

type place struct {
	topic     string
	partition int32
}

type reign struct {
	place
	epoch int32
}

// Elected tells of an election. It returns the rule that it breaks, if any: one
// leader an epoch, and epochs only rise.
func (h *History) Elected(topic string, partition, epoch, leader int32) error {
	if h.leaders == nil {
		h.leaders, h.newest = map[reign]int32{}, map[place]int32{}
	}
	at := place{topic, partition}
	if before, ok := h.leaders[reign{at, epoch}]; ok && before != leader {
		return fmt.Errorf("%s-%d: brokers %d and %d were both elected in epoch %d", topic, partition, before, leader, epoch)
	}
	if newest, ok := h.newest[at]; ok && epoch < newest {
		return fmt.Errorf("%s-%d: broker %d was elected in epoch %d after epoch %d", topic, partition, leader, epoch, newest)
	}
	h.leaders[reign{at, epoch}], h.newest[at] = leader, epoch
	return nil
}

// Formed tells that a generation of a group was formed. It returns the rule that it breaks,
// if any: generations only rise.
func (h *History) Formed(group string, generation int32) error {
	if h.generations == nil {
		h.generations = map[string]int32{}
	}
	if newest, ok := h.generations[group]; ok && generation <= newest {
		return fmt.Errorf("group %s: generation %d is formed after generation %d", group, generation, newest)
	}
	h.generations[group] = generation
	return nil
}

// Deleted tells that a group is no more: one of the same name begins anew.
func (h *History) Deleted(group string) { delete(h.generations, group) }
