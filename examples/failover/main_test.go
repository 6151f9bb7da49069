package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTheStoryIsToldAndNothingIsLost(t *testing.T) {
	var out bytes.Buffer
	verdict, err := run(t.Context(), &out)
	require.NoError(t, err, out.String())
	require.Regexp(t, `^verdict: acked=1000 read=1000 lost=0 duplicates=0 failover=[0-9.]+m?s$`, verdict.String(), out.String())
	require.True(t, verdict.OK())
	for _, line := range []string{
		"Topic: orders\tTopicId: ",
		"Partition: 0\tLeader: ",
		"is killed under load",
		"is gone: its port refuses connections",
		"is fenced",
		"leads, epoch 1",
		"first order acknowledged again",
		"returns",
		"is unfenced",
		"grows",
		"preferred replica",
	} {
		require.Contains(t, out.String(), line)
	}
}
