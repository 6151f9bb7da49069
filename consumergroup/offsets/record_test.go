package offsets_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
	"pgregory.net/rapid"

	"github.com/brokersim/brokersim/consumergroup/offsets"
	"github.com/brokersim/brokersim/metadata"
)

func TestWhatIsWrittenIsRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := offsets.Record{
			Group: rapid.String().Draw(t, "group"),
			Place: offsets.Place{Topic: rapid.String().Draw(t, "topic"), Partition: rapid.Int32().Draw(t, "partition")},
		}
		var value []byte
		if rapid.Bool().Draw(t, "lives") {
			c := offsets.Commit{
				Offset: rapid.Int64().Draw(t, "offset"), LeaderEpoch: rapid.Int32().Draw(t, "epoch"), Metadata: rapid.String().Draw(t, "note"),
				TopicID: metadata.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")), At: rapid.Int64().Draw(t, "at"), Expires: -1,
			}
			if rapid.Bool().Draw(t, "expires") { // such a record names neither epoch nor id
				c.Expires, c.LeaderEpoch, c.TopicID = rapid.Int64Min(0).Draw(t, "when"), -1, metadata.UUID{}
			}
			want.Commit, value = &c, offsets.ValueOf(c)
		}
		got, ok, err := offsets.Read(offsets.KeyOf(want.Group, want.Place), value)
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, want, got)
	})
}

// What other versions of Kafka wrote.
func TestEveryVersionOfAValue(t *testing.T) {
	key := kmsg.OffsetCommitKey{Group: "g", Topic: "t", Partition: 3} // version 0
	for version := range int16(5) {
		v := kmsg.OffsetCommitValue{Version: version, Offset: 7, LeaderEpoch: 2, Metadata: "m", CommitTimestamp: 11, ExpireTimestamp: 12}
		r, ok, err := offsets.Read(key.AppendTo(nil), v.AppendTo(nil))
		require.NoError(t, err)
		require.True(t, ok)
		want := offsets.Commit{Offset: 7, LeaderEpoch: -1, Metadata: "m", At: 11, Expires: -1}
		if version >= 3 {
			want.LeaderEpoch = 2
		}
		if version == 1 {
			want.Expires = 12
		}
		require.Equal(t, offsets.Record{Group: "g", Place: offsets.Place{Topic: "t", Partition: 3}, Commit: &want}, r)
	}
}

func TestWhatIsNoOffset(t *testing.T) {
	for name, key := range map[string][]byte{
		"the marker": offsets.Marker(), "a later version": {0, 9, 1, 2}, "a group of KIP-848": {0, 3, 0, 1, 'g'}, "below all": {0xff, 0xff},
	} {
		_, ok, err := offsets.Read(key, nil)
		require.NoError(t, err, name)
		require.False(t, ok, name)
	}
	_, ok, err := offsets.Read(offsets.KeyOf("g", offsets.Place{Topic: "t"}), []byte{0, 99})
	require.NoError(t, err)
	require.False(t, ok, "a value of a later version")
	for name, kv := range map[string][2][]byte{
		"no key": {{0}, nil}, "a key that is cut off": {{0, 1, 0}, nil}, "a value that is cut off": {offsets.KeyOf("g", offsets.Place{}), {0, 3, 1}},
	} {
		_, _, err := offsets.Read(kv[0], kv[1])
		require.ErrorIs(t, err, metadata.ErrCorruptMessage, name)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(offsets.KeyOf("g", offsets.Place{Topic: "t", Partition: 1}), offsets.ValueOf(offsets.Commit{Offset: 5, Metadata: "m", Expires: -1, TopicID: metadata.UUID{1}}))
	f.Add(offsets.Marker(), []byte(nil))
	f.Add([]byte{0, 1}, []byte{0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, key, value []byte) {
		r, ok, err := offsets.Read(key, value)
		if !ok || err != nil || r.Commit == nil {
			return
		}
		again, ok, err := offsets.Read(offsets.KeyOf(r.Group, r.Place), offsets.ValueOf(*r.Commit))
		require.NoError(t, err)
		require.True(t, ok)
		require.Equal(t, r.Commit.Offset, again.Commit.Offset)
		require.Equal(t, r.Place, again.Place)
	})
}
