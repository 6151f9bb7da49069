package event

import (
	"fmt"
	"strings"
	"time"
)

// Narrate says in plain words what happened:
//
//	broker 2 is gone: its port refuses connections
//	orders-0: broker 3 leads, epoch 4 (first live replica in the ISR), before: broker 2
func Narrate(e Event) string {
	if tell, ok := words[e.Kind]; ok {
		return tell(e)
	}
	return fmt.Sprintf("%s %s", e.Kind, e.subject())
}

var words = map[Kind]func(Event) string{
	BrokerStarted:       process("is started"),
	BrokerStopped:       process("is stopped, having handed over what it led"),
	BrokerKilled:        process("is killed"),
	BrokerPoweredOff:    process("loses power"),
	BrokerPaused:        process("is paused"),
	BrokerResumed:       process("goes on"),
	BrokerFailed:        gaveUp,
	CoordinatorStarted:  process("is started"),
	CoordinatorKilled:   process("is killed"),
	CoordinatorPowerOff: process("loses power"),
	CoordinatorPaused:   process("is paused"),
	CoordinatorResumed:  process("goes on"),
	CoordinatorFailed:   gaveUp,
	FaultInjected:       func(e Event) string { return fmt.Sprintf("fault %v: %v", e.get("fault"), e.get("what")) },
	FaultHealed:         func(e Event) string { return fmt.Sprintf("fault %v healed: %v", e.get("fault"), e.get("what")) },
	Lost: func(e Event) string {
		return fmt.Sprintf("(%v earlier events are no longer remembered)", e.get("count"))
	},

	CoordinatorActive:  func(e Event) string { return fmt.Sprintf("%s is active, term %v", e.who(), e.get("term")) },
	BrokerGone:         about("is gone: its port refuses connections"),
	SessionExpired:     sessionExpired,
	BrokerRegistered:   brokerRegistered,
	BrokerUnfenced:     about("is unfenced: it may lead and join ISRs"),
	BrokerFenced:       brokerFenced,
	BrokerShuttingDown: about("is shutting down: its leaderships move first"),
	TopicCreated:       topicCreated,
	TopicDeleted:       func(e Event) string { return fmt.Sprintf("topic %s is deleted", e.Topic) },
	LeaderElected:      leaderElected,
	LeaderLost:         leaderLost,
	ISRShrunk:          isrChanged("shrinks", "left", "out"),
	ISRGrown:           isrChanged("grows", "joined", "in"),
	ELRChanged:         elrChanged,

	GroupRebalancing:  groupRebalancing,
	GroupMemberJoined: func(e Event) string { return fmt.Sprintf("%s: %v is a member", e.group(), e.get("member")) },
	GroupMemberLeft:   func(e Event) string { return fmt.Sprintf("%s: %v leaves", e.group(), e.get("member")) },
	GroupMemberExpired: func(e Event) string {
		return fmt.Sprintf("%s: %v is removed: it %v", e.group(), e.get("member"), e.get("why"))
	},
	GroupMemberReplaced: groupMemberReplaced,
	GroupGeneration:     groupGeneration,
	GroupStable: func(e Event) string {
		return fmt.Sprintf("%s: generation %v is assigned to %v members", e.group(), e.get("generation"), e.get("members"))
	},
	GroupDeleted: func(e Event) string { return e.group() + " is deleted" },

	LogRecovered: logRecovered,
	LogDamaged:   logDamaged,
	LogTruncated: logTruncated,
	LogReset: func(e Event) string {
		return fmt.Sprintf("%s drops its log and refetches from %v", e.replica(), e.get("to"))
	},
	LogStartMoved: logStartMoved,
	LogCompacted:  logCompacted,
	EpochStarted:  epochStarted,
	OffsetsLoaded: func(e Event) string {
		return fmt.Sprintf("%s is the broker of %v groups, whose %v offsets it has read (%s)", e.who(), e.get("groups"), e.get("offsets"), e.partition())
	},
	HWAdvanced:    func(e Event) string { return fmt.Sprintf("%s: high watermark %v", e.replica(), e.get("hw")) },
	CaughtUp:      func(e Event) string { return fmt.Sprintf("%s has caught up", e.replica()) },
	FetcherFailed: fetcherFailed,
}

// process tells what happened to the node that the event names.
func process(what string) func(Event) string {
	return func(e Event) string { return e.who() + " " + what }
}

func gaveUp(e Event) string { return fmt.Sprintf("%s gave up: %v", e.who(), e.get("error")) }

// about tells what the coordinator thinks of the broker in Data.
func about(what string) func(Event) string {
	return func(e Event) string { return fmt.Sprintf("broker %v %s", e.get("broker"), what) }
}

func sessionExpired(e Event) string {
	silent, _ := e.get("silent").(time.Duration)
	return fmt.Sprintf("broker %v was silent for %v: its session has expired", e.get("broker"), silent.Round(time.Millisecond))
}

func brokerRegistered(e Event) string {
	s := fmt.Sprintf("broker %v registers, broker epoch %v", e.get("broker"), e.get("epoch"))
	if clean, ok := e.get("clean").(bool); ok && !clean {
		s += ", without proof that its log is whole"
	}
	return s
}

func brokerFenced(e Event) string {
	s := fmt.Sprintf("broker %v is fenced: it leaves every ISR", e.get("broker"))
	if why, ok := e.get("reason").(string); ok && why != "" {
		s += " (" + why + ")"
	}
	return s
}

func topicCreated(e Event) string {
	return fmt.Sprintf("topic %s is created: %v partitions, replication factor %v", e.Topic, e.get("partitions"), e.get("rf"))
}

func leaderElected(e Event) string {
	s := fmt.Sprintf("%s: broker %v leads, epoch %v", e.partition(), e.get("leader"), e.get("epoch"))
	if why, ok := e.get("why").(string); ok && why != "" {
		s += " (" + why + ")"
	}
	if unclean, _ := e.get("unclean").(bool); unclean {
		s += ", UNCLEAN: acknowledged records may be lost"
	}
	if from, ok := number(e.get("from")); ok && from >= 0 && fmt.Sprint(from) != fmt.Sprint(e.get("leader")) {
		s += fmt.Sprintf(", before: broker %d", from)
	}
	return s
}

func leaderLost(e Event) string {
	s := e.partition() + ": nobody may lead"
	if from, ok := number(e.get("from")); ok && from >= 0 {
		s += fmt.Sprintf(", broker %d was the last", from)
	}
	return s
}

func isrChanged(verb, key, way string) func(Event) string {
	return func(e Event) string {
		return fmt.Sprintf("%s: ISR %s to %s, %s %s", e.partition(), verb, set(e.get("isr")), way+":", list(e.get(key)))
	}
}

func elrChanged(e Event) string {
	if elr := set(e.get("elr")); elr != "{}" {
		return fmt.Sprintf("%s: ELR is %s: out of sync, yet they hold all that is committed", e.partition(), elr)
	}
	return e.partition() + ": ELR is empty"
}

func groupRebalancing(e Event) string {
	s := fmt.Sprintf("%s rebalances, generation %v is over", e.group(), e.get("generation"))
	if who, ok := e.get("member").(string); ok && who != "" {
		s += fmt.Sprintf(": %s %v", who, e.get("why"))
	}
	return s
}

func groupMemberReplaced(e Event) string {
	return fmt.Sprintf("%s: %v takes the place of %v as %v", e.group(), e.get("member"), e.get("old"), e.get("instance"))
}

func groupGeneration(e Event) string {
	if members, ok := number(e.get("members")); ok && members == 0 {
		return fmt.Sprintf("%s: generation %v has no members", e.group(), e.get("generation"))
	}
	return fmt.Sprintf("%s: generation %v is formed of %v members, protocol %v, %v leads the group",
		e.group(), e.get("generation"), e.get("members"), e.get("protocol"), e.get("leader"))
}

func logRecovered(e Event) string {
	s := fmt.Sprintf("%s: log recovered up to offset %v", e.replica(), e.get("leo"))
	if torn, ok := number(e.get("torn")); ok && torn > 0 {
		s += fmt.Sprintf(", %d torn bytes cut from its tail", torn)
	}
	return s
}

func logDamaged(e Event) string {
	s := fmt.Sprintf("%s: damage found: %v", e.replica(), e.get("error"))
	if stays, _ := e.get("stays").(bool); stays {
		s += "; it goes on, for nobody has better"
	}
	return s
}

func logTruncated(e Event) string {
	s := fmt.Sprintf("%s: log truncated from %v to %v", e.replica(), e.get("from"), e.get("to"))
	if why, ok := e.get("why").(string); ok && why != "" {
		s += " (" + why + ")"
	}
	return s
}

func logStartMoved(e Event) string {
	s := fmt.Sprintf("%s: log starts at %v, before: %v", e.replica(), e.get("to"), e.get("from"))
	if why, ok := e.get("why").(string); ok && why != "" {
		s += " (" + why + ")"
	}
	return s
}

func logCompacted(e Event) string {
	return fmt.Sprintf("%s: log compacted up to offset %v: %v of %v records stay, %v of %v bytes",
		e.replica(), e.get("to"), e.get("kept"), e.get("records"), e.get("left"), e.get("bytes"))
}

func epochStarted(e Event) string {
	return fmt.Sprintf("%s: epoch %v begins at offset %v", e.replica(), e.get("epoch"), e.get("offset"))
}

func fetcherFailed(e Event) string {
	return fmt.Sprintf("%s cannot fetch from broker %v: %v", e.who(), e.get("leader"), e.get("error"))
}

// who is the event's node in words: "broker 2" for "broker-2".
func (e Event) who() string {
	if e.Node == "" {
		return "the cluster"
	}
	return strings.Replace(e.Node, "-", " ", 1)
}

func (e Event) partition() string { return fmt.Sprintf("%s-%d", e.Topic, e.Part) }

// group is "group billing".
func (e Event) group() string { return fmt.Sprintf("group %v", e.get("group")) }

// replica is "orders-0 on broker 2".
func (e Event) replica() string { return e.partition() + " on " + e.who() }

// subject is whatever the event says it is about.
func (e Event) subject() string {
	switch {
	case e.Topic != "" && e.Part >= 0 && e.Node != "":
		return e.replica()
	case e.Topic != "" && e.Part >= 0:
		return e.partition()
	case e.Topic != "":
		return e.Topic
	}
	return e.who()
}

func (e Event) get(key string) any {
	if v, ok := e.Data[key]; ok {
		return v
	}
	return "?"
}

func number(v any) (int64, bool) {
	switch v := v.(type) {
	case int:
		return int64(v), true
	case int32:
		return int64(v), true
	case int64:
		return v, true
	}
	return 0, false
}

// set writes broker ids as {1,2,3}, list as 1,2,3.
func set(v any) string { return "{" + list(v) + "}" }

func list(v any) string {
	ids, ok := v.([]int32)
	if !ok {
		return fmt.Sprint(v)
	}
	texts := make([]string, len(ids))
	for i, id := range ids {
		texts[i] = fmt.Sprint(id)
	}
	return strings.Join(texts, ",")
}
