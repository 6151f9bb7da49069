package state

import (
	"encoding/hex"
	"flag"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/metadata"
)

// sampleCommands has one of each, with every field set.
func sampleCommands() []Command {
	id := metadata.UUID{0: 0x11, 15: 0xff}
	tp := metadata.TopicPartition{Topic: id, Partition: 3}
	return []Command{
		RegisterBroker{
			Broker:        metadata.Broker{ID: 1, Incarnation: metadata.UUID{1}, Rack: "a", Endpoints: []metadata.Endpoint{{Name: "INTERNAL", Host: "broker-1", Port: 9090}}},
			PreviousEpoch: -1,
		},
		FenceBroker{1, 300, "its process is gone"},
		UnfenceBroker{2, 4},
		BeginShutdown{3, 5},
		CreateTopics{
			Topics: []NewTopic{
				{Name: "orders", ID: id, Partitions: 3, ReplicationFactor: 2, Configs: map[string]string{"retention.ms": "5", "flush.ms": "1"}},
				{Name: "by-hand", ID: id, Partitions: -1, ReplicationFactor: -1, Assignment: [][]int32{{1, 2}, {2, 1}}},
			},
			Seed: 1 << 60, ValidateOnly: true,
		},
		DeleteTopics{[]TopicRef{{ID: id}, {Name: "orders"}}},
		AlterPartitions{1, 12, []PartitionChange{{TopicPartition: tp, LeaderEpoch: 4, PartitionEpoch: 5, ISR: []ISRMember{{1, 12}, {2, -1}}, Recovered: true}}},
		ElectLeaders{Unclean: true},
		ElectLeaders{Partitions: []metadata.TopicPartition{tp}},
		ElectLeaders{Partitions: []metadata.TopicPartition{}},
		AllocateProducerIDs{1, 12, 1000},
		ChangeGroup{"billing", 300, false, []byte("facts")},
		ChangeGroup{"billing", 301, true, nil},
	}
}

func TestCommandsComeBackAsTheyWere(t *testing.T) {
	for _, c := range sampleCommands() {
		b := EncodeCommand(c)
		got, err := DecodeCommand(b)
		require.NoError(t, err)
		require.Equal(t, c, got)
		for cut := range b {
			_, err := DecodeCommand(b[:cut])
			require.ErrorIs(t, err, metadata.ErrMalformed, "%#v cut at %d", c, cut)
		}
	}
}

// The Raft log of yesterday must be readable tomorrow. If these bytes change on
// purpose, raise metadata.Version and run with -rewrite.
func TestCommandEncodingStaysAsItIs(t *testing.T) {
	var got strings.Builder
	for _, c := range sampleCommands() {
		got.WriteString(hex.EncodeToString(EncodeCommand(c)) + "\n")
	}
	if f := flag.Lookup("rewrite"); f != nil && f.Value.String() == "true" {
		require.NoError(t, os.WriteFile("testdata/golden.txt", []byte(got.String()), 0o644))
	}
	want, err := os.ReadFile("testdata/golden.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), got.String())
}

// An entry of the Raft log may hold any bytes: they are refused or they are a
// command, and whatever a command asks for, the state stands.
func FuzzDecodeCommand(f *testing.F) {
	for _, c := range sampleCommands() {
		f.Add(EncodeCommand(c))
	}
	f.Add([]byte{metadata.Version, 99})
	f.Add([]byte{metadata.Version, tagAlterPartitions, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, b []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c, err := DecodeCommand(b)
		runtime.ReadMemStats(&after)
		if spent := after.TotalAlloc - before.TotalAlloc; spent > uint64(64*len(b)+1<<20) {
			t.Fatalf("%d bytes made us allocate %d", len(b), spent)
		}
		if err != nil {
			require.ErrorIs(t, err, metadata.ErrMalformed)
			return
		}
		again, err := DecodeCommand(EncodeCommand(c))
		require.NoError(t, err)
		require.Equal(t, c, again)

		s := newStory(t)
		for id := range int32(3) {
			s.apply(s.registration(id, "", -1, 0))
			s.apply(UnfenceBroker{id, s.offset})
		}
		s.apply(CreateTopics{Topics: []NewTopic{{Name: "orders", ID: metadata.UUID{0: 0x11, 15: 0xff}, Partitions: 4, ReplicationFactor: 3}}})
		s.apply(c)
	})
}
