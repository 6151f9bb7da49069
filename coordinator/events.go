package coordinator

import (
	"github.com/brokersim/brokersim/coordinator/state"
	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/metadata"
)

// eventsOf says what a committed command made happen, in the order of cause and
// effect: the broker, the leaders, the in-sync replicas, the topics.
func eventsOf(before *metadata.Image, r state.Result) []event.Event {
	if len(r.Deltas) == 0 {
		return nil
	}
	var events []event.Event
	var because []event.Key // what follows from the change of a broker
	for _, c := range r.Brokers {
		events = append(events, brokerEvent(c, r.Clean))
		because = append(because, event.RegistrationKey(c.Broker.ID, c.Broker.Epoch))
	}
	for _, e := range r.Elections {
		events = append(events, electionEvent(e, because))
	}
	var epochs map[metadata.TopicPartition]int32
	if len(because) == 0 && len(r.ISRs) > 0 {
		epochs = leaderEpochs(r.Deltas) // without a broker behind them they are their leaders' doing
	}
	for _, c := range r.ISRs {
		why := because
		if epochs != nil {
			why = []event.Key{event.LeaderKey(c.Topic, c.ID.Partition, epochs[c.ID])}
		}
		events = append(events, isrEvents(c, why)...)
	}
	return append(events, topicEvents(before, r)...)
}

func brokerEvent(c state.BrokerChange, clean bool) event.Event {
	b := c.Broker
	e := event.Event{
		Part: -1, Key: event.RegistrationKey(b.ID, b.Epoch),
		Data: map[string]any{"broker": b.ID, "epoch": b.Epoch},
	}
	switch c.What {
	case state.Registered:
		e.Kind, e.Because = event.BrokerRegistered, []event.Key{event.ProcessKey(event.BrokerNode(b.ID))}
		e.Data["clean"] = clean
	case state.Unfenced:
		e.Kind, e.Because = event.BrokerUnfenced, []event.Key{e.Key}
	case state.Fenced:
		e.Kind, e.Because = event.BrokerFenced, []event.Key{event.SessionKey(b.ID, b.Epoch), e.Key}
		e.Data["reason"] = c.Reason
	case state.ShuttingDown:
		e.Kind, e.Because = event.BrokerShuttingDown, []event.Key{event.ProcessKey(event.BrokerNode(b.ID)), e.Key}
	}
	return e
}

func electionEvent(e state.Election, because []event.Key) event.Event {
	ev := event.Event{
		Kind: event.LeaderElected, Topic: e.Topic, Part: e.ID.Partition,
		Key: event.LeaderKey(e.Topic, e.ID.Partition, e.Epoch), Because: because,
		Data: map[string]any{"leader": e.To, "epoch": e.Epoch, "why": e.Why, "from": e.From, "unclean": e.Unclean},
	}
	if e.To == metadata.NoLeader {
		ev.Kind, ev.Data = event.LeaderLost, map[string]any{"from": e.From, "epoch": e.Epoch}
	}
	return ev
}

// isrEvents tells one partition's change.
func isrEvents(c state.ISRChange, because []event.Key) []event.Event {
	base := event.Event{Topic: c.Topic, Part: c.ID.Partition, Because: because}
	var events []event.Event
	add := func(kind event.Kind, data map[string]any) {
		e := base
		e.Kind, e.Data = kind, data
		events = append(events, e)
	}
	if len(c.Left) > 0 {
		add(event.ISRShrunk, map[string]any{"isr": c.ISR, "left": c.Left})
	}
	if len(c.Joined) > 0 {
		add(event.ISRGrown, map[string]any{"isr": c.ISR, "joined": c.Joined})
	}
	if c.ELRChanged {
		add(event.ELRChanged, map[string]any{"elr": c.ELR})
	}
	return events
}

func leaderEpochs(deltas []metadata.Delta) map[metadata.TopicPartition]int32 {
	epochs := map[metadata.TopicPartition]int32{}
	for _, d := range deltas {
		if p, ok := d.(metadata.PartitionChanged); ok {
			epochs[p.TopicPartition] = p.State.LeaderEpoch
		}
	}
	return epochs
}

func topicEvents(before *metadata.Image, r state.Result) []event.Event {
	var events []event.Event
	for _, d := range r.Deltas {
		switch d := d.(type) {
		case metadata.TopicCreated:
			events = append(events, event.Event{Kind: event.TopicCreated, Topic: d.Topic.Name, Part: -1,
				Data: map[string]any{"partitions": len(d.Topic.Partitions), "rf": replicationFactor(d.Topic)}})
		case metadata.TopicDeleted:
			if t := before.TopicByID(d.ID); t != nil {
				events = append(events, event.Event{Kind: event.TopicDeleted, Topic: t.Name, Part: -1})
			}
		}
	}
	return events
}

func replicationFactor(t metadata.Topic) int {
	if len(t.Partitions) == 0 {
		return 0
	}
	return len(t.Partitions[0].Replicas)
}
