package replication

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/guard"
)

// The story that cannot be told without each guard.
var killers = map[guard.Guard]string{
	guard.TruncateByEpoch:       "S01_KIP101_TruncateToHWLosesAckedWrite",
	guard.StepBack:              "S04_KIP279_FastFailover",
	guard.LeaderEpoch:           "S06_KIP320_StaleLeaderUsedForTruncation",
	guard.FetchedEpoch:          "S03_KIP101_BatchOffsetsGoBackwards",
	guard.MaximalISR:            "S11_KIP497_MaximalIsr",
	guard.CompareAndSet:         "S12_KIP497_StaleVersionShrink",
	guard.BrokerEpoch:           "S16_KIP903_StaleBrokerEpochJoin",
	guard.PastEpochStart:        "S14_KAFKA7128_ISRExpand_BelowLESO",
	guard.FetchedInEpoch:        "S15_KIP841_QuickRemoveReadd",
	guard.DivergingIsNoProgress: "S10_KAFKA13141_DivergingFetchMustNotMoveHW",
	guard.UncleanLeavesISR:      "S17_KIP966_LastReplicaStanding",
	guard.AckAfterCommit:        "S22_KAFKA20634_AckAfterTruncation",
	guard.MinISRAfterAppend:     "S21_MinIsr_ShrinkAfterAppend",
	guard.ReadCommitted:         "S08_KIP320_ZombieLeaderFetch",
	guard.StepDown:              "S27_SessionExpiredButAlive",
	guard.KeptStart:             "S62_KIP107_AToldStartIsKept",
	guard.JoinTrimmed:           "S61_KIP107_DeletedRecordsStayDeleted",
	guard.EpochReached:          "S23_KIP207_ListOffsetsAfterElection",
}

// TestMutantsAreKilled takes one guard away at a time and tells every story
// again. The one that is about the guard must go wrong. With -v it prints the
// whole matrix: what else notices.
func TestMutantsAreKilled(t *testing.T) {
	stories := map[string][]datadriven.TestData{}
	for _, path := range scenarioFiles(t) {
		stories[strings.TrimSuffix(filepath.Base(path), ".txt")] = steps(t, path)
	}
	for _, g := range slices.Sorted(maps.Keys(killers)) {
		t.Run(fmt.Sprintf("m%d %s", g, g), func(t *testing.T) {
			defer g.Remove()()
			for _, story := range slices.Sorted(maps.Keys(stories)) {
				died := difference(t, stories[story])
				if died != "" {
					t.Logf("%s: %s", story, died)
				}
				if story == killers[g] {
					require.NotEmpty(t, died, "%s is told as if nothing were missing", story)
				}
			}
		})
	}
}

// steps reads a story without telling it.
func steps(t *testing.T, path string) (all []datadriven.TestData) {
	datadriven.RunTest(t, path, func(_ *testing.T, d *datadriven.TestData) string {
		all = append(all, *d)
		return d.Expected
	})
	return all
}

// difference tells a story and returns where it first ends otherwise than it
// should, "" if nowhere.
func difference(t *testing.T, story []datadriven.TestData) (where string) {
	synctest.Test(t, func(t *testing.T) {
		s := &scenario{}
		defer s.close()
		for _, d := range story {
			if got := s.attempt(&d); got != d.Expected {
				where = fmt.Sprintf("%s\nshould be\n%s\nis\n%s", d.Pos, indent(d.Expected), indent(got))
				return
			}
		}
	})
	return where
}

// attempt runs one step of a world that may break.
func (s *scenario) attempt(d *datadriven.TestData) (out string) {
	type broken struct{ why string }
	defer func() {
		if r := recover(); r != nil {
			b, ok := r.(broken)
			if !ok {
				panic(r)
			}
			out = "the world broke: " + b.why + "\n"
		}
	}()
	return s.run(func(f string, a ...any) { panic(broken{fmt.Sprintf(f, a...)}) }, d)
}

func indent(s string) string {
	return "    " + strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", "\n    ")
}
