package consumergroup

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/brokersim/brokersim/internal/guard"
)

// The story that cannot be told without each guard.
var killers = map[guard.Guard]string{
	guard.Generation:      "S43_ZombieMemberCommit",
	guard.JoinBarrier:     "TwoJoinOneDies",
	guard.AnswerAfterFact: "AnswerAfterFact",
	guard.SameGeneration:  "S46_CoordinatorFailoverDuringRebalance",
	guard.StandStill:      "SilentBroker",
	guard.OneMember:       "RetriedJoin",
	guard.OneInstance:     "S47_StaticMemberDuplicateInstance",
}

// Without these nothing is unsafe: members only lose their place for no reason.
var harmless = []guard.Guard{guard.StandStill}

const randomRuns = 500

// TestMutantsAreKilled takes one guard away at a time and tells every story
// again. The one that is about the guard must go wrong. Then it plays random
// scripts until an invariant breaks. With -v it prints the whole matrix.
func TestMutantsAreKilled(t *testing.T) {
	stories := map[string][]datadriven.TestData{}
	for _, path := range scenarioFiles(t) {
		stories[strings.TrimSuffix(filepath.Base(path), ".txt")] = steps(t, path)
	}
	scripts := rapid.Custom(drawScript)
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
			run, wrong := firstWrong(scripts)
			t.Logf("random run %d: %v", run, wrong)
			if !slices.Contains(harmless, g) {
				require.Error(t, wrong, "%d random runs, and no invariant is broken", run)
			}
		})
	}
}

func firstWrong(scripts *rapid.Generator[script]) (run int, wrong error) {
	for run = range randomRuns {
		s := scripts.Example(run)
		w, _, err := s.play()
		if err == nil {
			err = w.settled(s)
		}
		if err != nil {
			return run, err
		}
	}
	return run, nil
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
func difference(t *testing.T, story []datadriven.TestData) string {
	s := &scenario{}
	for _, d := range story {
		if got := s.run(t, &d); got != d.Expected {
			return fmt.Sprintf("%s\nshould be\n%s\nis\n%s", d.Pos, indent(d.Expected), indent(got))
		}
	}
	return ""
}

func indent(s string) string {
	return "    " + strings.ReplaceAll(strings.TrimSuffix(s, "\n"), "\n", "\n    ")
}
