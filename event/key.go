package event

import "fmt"

// A Key names a happening by the epochs that both its witness and its
// consequences know.
type Key string

// ProcessKey is the newest thing that befell a node from outside: it was
// started, killed, paused, cut off, ...
func ProcessKey(node string) Key { return Key("process/" + node) }

// FaultKey is a fault that somebody injected.
func FaultKey(id int) Key { return Key(fmt.Sprintf("fault/%d", id)) }

// SessionKey is the end of one broker epoch's session (gone, expired).
func SessionKey(broker int32, epoch int64) Key {
	return Key(fmt.Sprintf("session/%d/%d", broker, epoch))
}

// RegistrationKey is a broker's registration, unfencing or fencing under one epoch.
func RegistrationKey(broker int32, epoch int64) Key {
	return Key(fmt.Sprintf("registration/%d/%d", broker, epoch))
}

// LeaderKey is the election that began a leader epoch.
func LeaderKey(topic string, partition, leaderEpoch int32) Key {
	return Key(fmt.Sprintf("leader/%s/%d/%d", topic, partition, leaderEpoch))
}

// MemberKey is the end of a group's member.
func MemberKey(group, member string) Key { return Key(fmt.Sprintf("member/%s/%s", group, member)) }

// RebalanceKey is the rebalance that ended a generation of a group.
func RebalanceKey(group string, generation int32) Key {
	return Key(fmt.Sprintf("rebalance/%s/%d", group, generation))
}

// GenerationKey is a generation of a group.
func GenerationKey(group string, generation int32) Key {
	return Key(fmt.Sprintf("generation/%s/%d", group, generation))
}

// BrokerNode and CoordinatorNode name nodes in events.
func BrokerNode(id int32) string      { return fmt.Sprintf("broker-%d", id) }
func CoordinatorNode(id int32) string { return fmt.Sprintf("coordinator-%d", id) }
