package metadata

import (
	"strconv"
	"unicode/utf8"
)

// OffsetsTopic is the internal topic that holds committed offsets. Whoever leads a
// group's partition of it is the group's broker.
const OffsetsTopic = "__consumer_offsets"

// OffsetsTopicConfigs are the configs of OffsetsTopic, which nobody can choose: it is compacted,
// what is acknowledged of it is on two replicas if there are two, and no election may
// lose it.
func OffsetsTopicConfigs(replicationFactor int) map[string]string {
	return map[string]string{
		"cleanup.policy":                 "compact",
		"compression.type":               "producer",
		"min.insync.replicas":            strconv.Itoa(min(2, replicationFactor)),
		"segment.bytes":                  "104857600",
		"unclean.leader.election.enable": "false",
	}
}

// GroupPartition is a group's partition of OffsetsTopic, which has that many, as
// Kafka computes it: Java's hash of the name, over its UTF-16 code units, without sign.
func GroupPartition(group string, partitions int) int32 {
	if partitions <= 0 {
		return 0
	}
	h := int32(0)
	for _, r := range group {
		if r > 0xffff && r <= utf8.MaxRune {
			r -= 0x10000
			h = 31*h + 0xd800 + r>>10
			r = 0xdc00 + r&0x3ff
		}
		h = 31*h + r
	}
	if h < 0 {
		h = max(-h, 0) // the smallest number has no positive
	}
	return h % int32(partitions)
}
