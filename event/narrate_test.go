package event

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var rewrite = flag.Bool("rewrite", false, "write testdata anew instead of comparing with it; read the difference before you keep it")

// story has one event of every kind, with the data that the rooms give it.
func story() []Event {
	zero := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	about := func(kv ...any) map[string]any {
		m := map[string]any{"broker": int32(2), "epoch": int64(7)}
		for i := 0; i < len(kv); i += 2 {
			m[kv[i].(string)] = kv[i+1]
		}
		return m
	}
	type data = map[string]any
	events := []Event{
		{Kind: CoordinatorStarted, Node: "coordinator-1"},
		{Kind: CoordinatorActive, Node: "coordinator-1", Data: data{"term": uint64(2)}},
		{Kind: BrokerStarted, Node: "broker-2"},
		{Kind: BrokerRegistered, Data: about("clean", true)},
		{Kind: BrokerUnfenced, Data: about()},
		{Kind: TopicCreated, Topic: "orders", Data: data{"partitions": 3, "rf": 2}},
		{Kind: LeaderElected, Topic: "orders", Part: 0, Data: data{"leader": int32(2), "epoch": int32(0), "why": "first of the assigned", "from": int32(-1)}},
		{Kind: EpochStarted, Node: "broker-2", Topic: "orders", Data: data{"epoch": int32(0), "offset": int64(0)}},
		{Kind: HWAdvanced, Node: "broker-2", Topic: "orders", Data: data{"hw": int64(17)}},
		{Kind: FaultInjected, Data: data{"fault": 1, "what": "broker 2 isolated from all other nodes"}},
		{Kind: FaultHealed, Data: data{"fault": 1, "what": "broker 2 isolated from all other nodes"}},
		{Kind: BrokerKilled, Node: "broker-2"},
		{Kind: FetcherFailed, Node: "broker-3", Data: data{"leader": int32(2), "error": errors.New("connection reset")}},
		{Kind: BrokerGone, Data: about()},
		{Kind: BrokerFenced, Data: about("reason", "gone")},
		{Kind: ISRShrunk, Topic: "orders", Data: data{"isr": []int32{3}, "left": []int32{2}}},
		{Kind: ELRChanged, Topic: "orders", Data: data{"elr": []int32{2}}},
		{Kind: LeaderElected, Topic: "orders", Data: data{"leader": int32(3), "epoch": int32(1), "why": "first live replica in the ISR", "from": int32(2)}},
		{Kind: BrokerPoweredOff, Node: "broker-1"},
		{Kind: SessionExpired, Data: about("silent", 1234567*time.Microsecond)},
		{Kind: LeaderLost, Topic: "orders", Part: 1, Data: data{"from": int32(1), "epoch": int32(4)}},
		{Kind: BrokerRegistered, Data: about("clean", false)},
		{Kind: LogRecovered, Node: "broker-2", Topic: "orders", Data: data{"leo": int64(40), "torn": int64(61)}},
		{Kind: LogDamaged, Node: "broker-2", Topic: "orders", Data: data{"error": errors.New("orders-0/00000000000000000000.log is corrupt at byte 69: its checksum is wrong"), "stays": true}},
		{Kind: LogTruncated, Node: "broker-2", Topic: "orders", Data: data{"from": int64(40), "to": int64(38), "why": "epoch 0 ends there on the leader"}},
		{Kind: LogReset, Node: "broker-1", Topic: "orders", Data: data{"to": int64(12)}},
		{Kind: LogStartMoved, Node: "broker-1", Topic: "orders", Data: data{"from": int64(12), "to": int64(14), "why": "its records were deleted"}},
		{Kind: LogCompacted, Node: "broker-1", Topic: "orders", Data: data{"from": int64(0), "to": int64(90), "records": int64(90), "kept": int64(7), "bytes": int64(5000), "left": int64(600)}},
		{Kind: CaughtUp, Node: "broker-2", Topic: "orders"},
		{Kind: ISRGrown, Topic: "orders", Data: data{"isr": []int32{3, 2}, "joined": []int32{2}}},
		{Kind: ELRChanged, Topic: "orders", Data: data{"elr": []int32{}}},
		{Kind: LeaderElected, Topic: "orders", Data: data{"leader": int32(1), "epoch": int32(6), "why": "nobody better is left", "from": int32(-1), "unclean": true}},
		{Kind: GroupMemberExpired, Data: data{"group": "billing", "member": "a-1", "why": "was silent for its session"}},
		{Kind: GroupRebalancing, Data: data{"group": "billing", "generation": int32(6), "member": "a-1", "why": "was silent for its session"}},
		{Kind: GroupMemberJoined, Data: data{"group": "billing", "member": "b-1", "instance": "", "client": "b", "host": "/127.0.0.1"}},
		{Kind: GroupGeneration, Data: data{"group": "billing", "generation": int32(7), "members": 2, "leader": "c-1", "protocol": "range"}},
		{Kind: GroupStable, Data: data{"group": "billing", "generation": int32(7), "members": 2}},
		{Kind: GroupMemberReplaced, Data: data{"group": "billing", "member": "c-2", "old": "c-1", "instance": "c"}},
		{Kind: GroupMemberLeft, Data: data{"group": "billing", "member": "b-1", "why": "leaves"}},
		{Kind: GroupGeneration, Data: data{"group": "billing", "generation": int32(8), "members": 0}},
		{Kind: GroupDeleted, Data: data{"group": "billing"}},
		{Kind: OffsetsLoaded, Node: "broker-2", Topic: "__consumer_offsets", Part: 17, Data: data{"groups": 2, "offsets": 6, "epoch": int32(1)}},
		{Kind: BrokerPaused, Node: "broker-3"},
		{Kind: BrokerResumed, Node: "broker-3"},
		{Kind: BrokerShuttingDown, Data: about()},
		{Kind: BrokerStopped, Node: "broker-2"},
		{Kind: BrokerFailed, Node: "broker-1", Data: data{"error": errors.New("input/output error")}},
		{Kind: CoordinatorKilled, Node: "coordinator-2"},
		{Kind: CoordinatorPowerOff, Node: "coordinator-2"},
		{Kind: CoordinatorPaused, Node: "coordinator-3"},
		{Kind: CoordinatorResumed, Node: "coordinator-3"},
		{Kind: CoordinatorFailed, Node: "coordinator-3", Data: data{"error": "no space left on device"}},
		{Kind: TopicDeleted, Topic: "orders"},
		{Kind: Lost, Data: data{"count": uint64(12)}},
	}
	for i := range events {
		events[i].Seq = uint64(i + 1)
		events[i].Time = zero.Add(time.Duration(i*i) * 8765432 * time.Nanosecond)
		if events[i].Topic == "" {
			events[i].Part = -1
		}
	}
	return events
}

func TestNarrationReads(t *testing.T) {
	var b strings.Builder
	require.NoError(t, new(Narrator).Tell(&b, slices.Values(story())))
	golden(t, "narration.txt", b.String())
}

func TestTraceIsOneObjectALine(t *testing.T) {
	var b strings.Builder
	require.NoError(t, Trace(&b, slices.Values(story())))
	golden(t, "trace.jsonl", b.String())
}

func TestEveryKindHasWords(t *testing.T) {
	told := map[Kind]bool{}
	for _, e := range story() {
		told[e.Kind] = true
	}
	for kind := range words {
		require.True(t, told[kind], "%s is missing from the story", kind)
	}
	require.Equal(t, "no.such.kind orders-1", Narrate(Event{Kind: "no.such.kind", Topic: "orders", Part: 1}))
}

// An event without its data, or with data of another type, is told all the same.
func TestNarrateSurvivesMissingData(t *testing.T) {
	for kind := range words {
		require.NotEmpty(t, Narrate(Event{Kind: kind}))
		for _, key := range []string{"isr", "elr", "left", "joined", "from", "leader", "silent", "torn", "error"} {
			require.NotEmpty(t, Narrate(Event{Kind: kind, Data: map[string]any{key: struct{}{}}}))
		}
	}
}

func TestNarratorSkips(t *testing.T) {
	n := Narrator{Skip: []Kind{BrokerStarted}}
	require.Empty(t, n.Line(Event{Kind: BrokerStarted}))
	require.Equal(t, "    0.0 ms  broker 1 is killed", n.Line(Event{Kind: BrokerKilled, Node: "broker-1", Time: time.Unix(1, 0)}))
}

// The fifty partitions of an internal topic would drown what a story is about.
func TestNarratorIsQuietAboutInternalPartitions(t *testing.T) {
	const topic = "__consumer_offsets"
	var quiet, all Narrator
	all.Internal = true
	told := map[Kind]bool{TopicCreated: true, TopicDeleted: true, LogDamaged: true, OffsetsLoaded: true}
	for _, e := range story() {
		if e.Topic == "" {
			continue
		}
		require.NotEmpty(t, quiet.Line(e), "of another topic: %s", e.Kind)
		e.Topic = topic
		require.NotEmpty(t, all.Line(e))
		unclean := e.Data["unclean"] == true
		require.Equal(t, told[e.Kind] || unclean, quiet.Line(e) != "", e.Kind)
	}
}

func TestElapsedIsAlwaysAsWide(t *testing.T) {
	for _, d := range []time.Duration{0, time.Microsecond, 9999 * time.Millisecond, 10 * time.Second, 9 * time.Hour, -time.Second} {
		require.Len(t, Elapsed(d), 10, d)
	}
}

func TestTraceStopsWhenItCannotWrite(t *testing.T) {
	f, err := os.Open(os.DevNull) // opened to read only
	require.NoError(t, err)
	defer f.Close()
	require.ErrorContains(t, Trace(f, slices.Values(story())), "trace event 1")
	require.Error(t, new(Narrator).Tell(f, slices.Values(story())))
}

func TestDiscardWantsNothing(t *testing.T) {
	require.False(t, Discard.Wants(BrokerKilled))
	Discard.Emit(Event{})
	Discard.EmitAt(1, Event{})
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	name = filepath.Join("testdata", name)
	if *rewrite {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(name, []byte(got), 0o644))
	}
	want, err := os.ReadFile(name)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}
