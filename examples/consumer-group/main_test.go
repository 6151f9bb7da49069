package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

func TestEveryPartitionHasOneOwnerWhateverBefalls(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		var out bytes.Buffer
		verdict, err := run(t.Context(), &out, brokersim.InMemoryClients())
		require.NoError(t, err, out.String())
		// kgo may give up when the group's broker dies: it asks others at random, three times.
		require.Regexp(t, "^verdict: steps=11 owned-once=11 quiet=(3 generation-kept=3|2 generation-kept=2) zombies=4 refused=4$", verdict.String(), out.String())
		before, after, _ := strings.Cut(out.String(), "── the group's broker is killed")
		require.NotContains(t, before, "joined anew")
		require.Equal(t, verdict.Quiet == 2, strings.Contains(after, "joined anew"), out.String())
		require.True(t, verdict.OK())
		for _, line := range []string{
			"── ann joins",
			"── bob leaves",
			"dan's process before commits for generation 4 and is refused: FENCED_INSTANCE_ID",
			"cay commits for generation 5 and is refused: UNKNOWN_MEMBER_ID",
			"dan, before it heard of that, commits for generation 7 and is refused: ILLEGAL_GENERATION",
			"is active",
			"is the group's broker now",
		} {
			require.Contains(t, out.String(), line)
		}
		require.Regexp(t, `: till-4-... takes the place of till-4-... as till-4\n`, out.String())
		require.Regexp(t, `: cay-... is removed: it was silent for its session\n`, out.String())
		require.Regexp(t, `(?m)^  the group's broker is killed +[89] +- +- +- +[0-5 ]+ \*? +[0-5 ]+( \*)?$`, out.String())
	})
}
