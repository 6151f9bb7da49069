package broker

import "github.com/twmb/franz-go/pkg/kmsg"

// A servedAPI is a request that this broker answers, in a range of versions,
// both ends included.
type servedAPI struct {
	key       kmsg.Key
	low, high int16
}

// served is every request that a broker answers. Requests may come before
// ApiVersions was asked and in any order; nothing here depends on a handshake.
// The same table holds on both listeners: what only brokers may do (a fetch as a
// follower) is told by its fields, and refused where clients connect.
//
// What is of transactions is absent on purpose: left out of ApiVersions, clients say
// at once that the broker does not support it.
var served = []servedAPI{
	{kmsg.Produce, 3, 13},
	{kmsg.Fetch, 4, 18},
	{kmsg.ListOffsets, 1, 11},
	{kmsg.Metadata, 0, 13},
	{kmsg.OffsetCommit, 2, 10},
	{kmsg.OffsetFetch, 1, 10},
	{kmsg.FindCoordinator, 0, 6},
	{kmsg.JoinGroup, 0, 9},
	{kmsg.Heartbeat, 0, 4},
	{kmsg.LeaveGroup, 0, 5},
	{kmsg.SyncGroup, 0, 5},
	{kmsg.DescribeGroups, 0, 6},
	{kmsg.ListGroups, 0, 5},
	{kmsg.ApiVersions, 0, 5},
	{kmsg.CreateTopics, 2, 7},
	{kmsg.DeleteTopics, 1, 6},
	{kmsg.DeleteRecords, 0, 2},
	{kmsg.InitProducerID, 0, 5},
	{kmsg.OffsetForLeaderEpoch, 2, 4},
	{kmsg.DescribeConfigs, 0, 4},
	{kmsg.DeleteGroups, 0, 3},
	{kmsg.ElectLeaders, 0, 2},
	{kmsg.OffsetDelete, 0, 0},
	{kmsg.DescribeCluster, 0, 2},
}

// produceAdvertisedLow is what ApiVersions says of Produce's lowest version.
// Clients built on librdkafka before 2.11 take a higher one to mean that the
// broker cannot compress, and send everything uncompressed (KAFKA-18659).
const produceAdvertisedLow = 0

// advertised is the range that ApiVersions shows.
func (a servedAPI) advertised() (low, high int16) {
	if a.key == kmsg.Produce {
		return produceAdvertisedLow, a.high
	}
	return a.low, a.high
}

// acceptedVersions is the range in which requests with this key are answered;
// not ok if they are not answered at all.
func acceptedVersions(key int16) (low, high int16, ok bool) {
	for _, a := range served {
		if a.key.Int16() == key {
			return a.low, a.high, true
		}
	}
	return 0, 0, false
}
