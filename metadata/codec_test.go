package metadata

import (
	"encoding/hex"
	"flag"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

var (
	anyUUID = rapid.Custom(func(t *rapid.T) (u UUID) {
		copy(u[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "uuid"))
		return u
	})
	anyText    = rapid.StringN(0, 12, 40)
	anyConfigs = rapid.Map(rapid.MapOfN(anyText, anyText, 0, 4), nilIfEmptyMap[string, string])
	anyIDs     = rapid.Map(rapid.SliceOfN(rapid.Int32(), 0, 5), nilIfEmpty[int32])

	anyBroker = rapid.Custom(func(t *rapid.T) Broker {
		return Broker{
			ID: rapid.Int32().Draw(t, "id"), Epoch: rapid.Int64().Draw(t, "epoch"), UnfencedEpoch: rapid.Int64().Draw(t, "unfenced"),
			Incarnation: anyUUID.Draw(t, "incarnation"), Rack: anyText.Draw(t, "rack"),
			Endpoints: nilIfEmpty(rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Endpoint {
				return Endpoint{Name: anyText.Draw(t, "name"), Host: anyText.Draw(t, "host"), Port: rapid.Int32().Draw(t, "port")}
			}), 0, 3).Draw(t, "endpoints")),
			Fenced: rapid.Bool().Draw(t, "fenced"), ShuttingDown: rapid.Bool().Draw(t, "shutting down"),
		}
	})
	anyPartition = rapid.Custom(func(t *rapid.T) Partition {
		return Partition{
			Replicas: anyIDs.Draw(t, "replicas"), ISR: anyIDs.Draw(t, "isr"), ELR: anyIDs.Draw(t, "elr"),
			LastKnownLeader: rapid.Int32().Draw(t, "last known"), Leader: rapid.Int32().Draw(t, "leader"),
			LeaderEpoch: rapid.Int32().Draw(t, "leader epoch"), PartitionEpoch: rapid.Int32().Draw(t, "partition epoch"),
			Recovering: rapid.Bool().Draw(t, "recovering"),
		}
	})
	anyTopic = rapid.Custom(func(t *rapid.T) Topic {
		return Topic{
			ID: anyUUID.Draw(t, "id"), Name: anyText.Draw(t, "name"), Configs: anyConfigs.Draw(t, "configs"),
			Partitions: nilIfEmpty(rapid.SliceOfN(anyPartition, 0, 4).Draw(t, "partitions")),
		}
	})
	anyGroupChange = rapid.Custom(func(t *rapid.T) Delta {
		return GroupChanged{
			ID: rapid.SampledFrom([]string{"", "a", "b"}).Draw(t, "group"), Whole: rapid.Bool().Draw(t, "whole"),
			Facts: nilIfEmpty(rapid.SliceOfN(rapid.Byte(), 0, 5).Draw(t, "facts")),
		}
	})
	anyDelta = rapid.Custom(func(t *rapid.T) Delta {
		switch rapid.IntRange(0, 6).Draw(t, "kind") {
		case 0:
			return BrokerRegistered{anyBroker.Draw(t, "broker")}
		case 1:
			return TopicCreated{anyTopic.Draw(t, "topic")}
		case 2:
			return TopicDeleted{anyUUID.Draw(t, "id")}
		case 3:
			return TopicConfigured{anyUUID.Draw(t, "id"), anyConfigs.Draw(t, "configs")}
		case 4:
			return PartitionChanged{TopicPartition{anyUUID.Draw(t, "id"), rapid.Int32().Draw(t, "partition")}, anyPartition.Draw(t, "state")}
		case 5:
			return anyGroupChange.Draw(t, "group")
		default:
			return ProducerIDsAllocated{rapid.Int64().Draw(t, "next")}
		}
	})
)

func nilIfEmpty[T any](s []T) []T {
	if len(s) == 0 {
		return nil
	}
	return s
}

func nilIfEmptyMap[K comparable, V any](m map[K]V) map[K]V {
	if len(m) == 0 {
		return nil
	}
	return m
}

func TestDeltasComeBackAsTheyWere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		deltas := nilIfEmpty(rapid.SliceOfN(anyDelta, 0, 6).Draw(t, "deltas"))
		b := AppendDeltas(nil, deltas)
		got, err := DecodeDeltas(b)
		require.NoError(t, err)
		require.Equal(t, deltas, got)
		if cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut"); cut > 0 {
			_, err = DecodeDeltas(b[:cut])
			require.ErrorIs(t, err, ErrMalformed)
		}
	})
}

func TestImageComesBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		im := NewImage(anyText.Draw(t, "cluster"))
		for i, deltas := range rapid.SliceOfN(rapid.SliceOfN(anyDelta, 0, 4), 0, 4).Draw(t, "commands") {
			im = im.Apply(int64(i), deltas)
		}
		b := im.AppendTo(nil)
		got, err := DecodeImage(b)
		require.NoError(t, err)
		require.Equal(t, im.Brokers(), got.Brokers())
		require.Equal(t, len(im.Topics()), len(got.Topics()))
		require.Equal(t, len(im.topics), len(im.names), "an id without a name or a name without an id")
		require.Equal(t, b, got.AppendTo(nil))
		require.Equal(t, im.Offset(), got.Offset())
		require.Equal(t, im.ClusterID(), got.ClusterID())
		require.Equal(t, im.NextProducerID(), got.NextProducerID())
		require.Equal(t, im.GroupIDs(), got.GroupIDs())
	})
}

// sampleDeltas has one of each, with every field set.
func sampleDeltas() []Delta {
	id := UUID{0: 0x11, 15: 0xff}
	p := Partition{Replicas: []int32{1, 2, 3}, ISR: []int32{2}, ELR: []int32{1}, LastKnownLeader: NoLeader, Leader: 2, LeaderEpoch: 7, PartitionEpoch: 300, Recovering: true}
	return []Delta{
		BrokerRegistered{Broker{
			ID: 1, Epoch: 12, UnfencedEpoch: -1, Incarnation: UUID{0: 0xaa}, Rack: "a",
			Endpoints: []Endpoint{{InternalListener, "broker-1", 9090}, {ClientListener, "127.0.0.1", 54321}}, Fenced: true,
		}},
		TopicCreated{Topic{ID: id, Name: "orders", Configs: map[string]string{"retention.ms": "1", "min.insync.replicas": "2"}, Partitions: []Partition{p, {Leader: NoLeader, LastKnownLeader: 3}}}},
		TopicDeleted{id},
		TopicConfigured{id, map[string]string{"a": ""}},
		PartitionChanged{TopicPartition{id, 1}, p},
		ProducerIDsAllocated{1000},
		GroupChanged{"billing", true, []byte("whole")},
		GroupChanged{"billing", false, []byte("since")},
	}
}

func sampleImage() *Image {
	deltas := sampleDeltas()
	return NewImage("cluster-of-22-letters-").Apply(42, append(deltas[:2:2], deltas[4:]...))
}

var rewrite = flag.Bool("rewrite", false, "write testdata/golden.txt anew")

// What is on disk must be readable tomorrow. If these bytes change on purpose,
// raise Version and run the test with -rewrite.
func TestEncodingStaysAsItIs(t *testing.T) {
	got := "deltas " + hex.EncodeToString(AppendDeltas(nil, sampleDeltas())) +
		"\nimage " + hex.EncodeToString(sampleImage().AppendTo(nil)) + "\n"
	if *rewrite {
		require.NoError(t, os.WriteFile("testdata/golden.txt", []byte(got), 0o644))
	}
	want, err := os.ReadFile("testdata/golden.txt")
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

func TestMalformedMetadataIsAnAnswer(t *testing.T) {
	for name, c := range map[string]struct {
		bytes []byte
		says  string
	}{
		"nothing":            {nil, "cut off"},
		"other version":      {[]byte{9, 0}, "version 9"},
		"unknown tag":        {[]byte{Version, 1, 99, 0}, "tag 99"},
		"left over":          {append(AppendDeltas(nil, sampleDeltas()), 0), "1 bytes left over"},
		"list without bytes": {[]byte{Version, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0}, "a list of 4294967295 in 2 bytes"},
		"endless number":     {append([]byte{Version}, []byte(strings.Repeat("\xff", 11))...), "no number"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := DecodeDeltas(c.bytes)
			require.ErrorIs(t, err, ErrMalformed)
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestDecoderLimits(t *testing.T) {
	e := Encoder{}
	e.String(strings.Repeat("x", MaxString+1))
	d := NewDecoder(e.Buf)
	require.Empty(t, d.String())
	require.ErrorContains(t, d.Err(), "65537 bytes")

	e = Encoder{}
	e.Len(2)
	for _, s := range []string{"b", "", "a", ""} {
		e.String(s)
	}
	d = NewDecoder(e.Buf)
	require.Nil(t, d.StringMap())
	require.ErrorContains(t, d.Err(), `key "a" is out of order`)

	e = Encoder{}
	e.Int(1 << 40)
	d = NewDecoder(e.Buf)
	require.Zero(t, d.Int32())
	require.ErrorContains(t, d.Err(), "32 bits")
	require.ErrorIs(t, d.End(), ErrMalformed)
}

// Hostile bytes may not make us allocate more than a small multiple of them.
func checkAllocation(t *testing.T, b []byte, decode func()) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	decode()
	runtime.ReadMemStats(&after)
	if spent := after.TotalAlloc - before.TotalAlloc; spent > uint64(64*len(b)+1<<20) {
		t.Fatalf("%d bytes made us allocate %d", len(b), spent)
	}
}

func FuzzDecodeDeltas(f *testing.F) {
	f.Add([]byte{})
	f.Add(AppendDeltas(nil, nil))
	f.Add(AppendDeltas(nil, sampleDeltas()))
	f.Add([]byte{Version, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		checkAllocation(t, b, func() { _, _ = DecodeDeltas(b) })
		deltas, err := DecodeDeltas(b)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		again, err := DecodeDeltas(AppendDeltas(nil, deltas))
		require.NoError(t, err)
		require.Equal(t, deltas, again)
		// Whatever they say, applying them is safe and keeps the image consistent.
		im := sampleImage().Apply(43, deltas)
		decoded, err := DecodeImage(im.AppendTo(nil))
		require.NoError(t, err)
		require.Equal(t, im.AppendTo(nil), decoded.AppendTo(nil))
	})
}

func FuzzDecodeImage(f *testing.F) {
	f.Add([]byte{})
	f.Add(NewImage("").AppendTo(nil))
	f.Add(sampleImage().AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		checkAllocation(t, b, func() { _, _ = DecodeImage(b) })
		im, err := DecodeImage(b)
		if err != nil {
			require.ErrorIs(t, err, ErrMalformed)
			return
		}
		again, err := DecodeImage(im.AppendTo(nil))
		require.NoError(t, err)
		require.Equal(t, im.AppendTo(nil), again.AppendTo(nil))
		im.Apply(1, sampleDeltas())
	})
}
