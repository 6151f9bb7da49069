package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatWasPromisedSurvives(t *testing.T) {
	var out bytes.Buffer
	verdict, err := run(t.Context(), &out)
	require.NoError(t, err, out.String())
	require.True(t, verdict.OK(), out.String())
	require.GreaterOrEqual(t, verdict.Acked, 300, "two times 200 orders but for the last ones, which nobody answered")
	require.Regexp(t, `(?m)^  every process killed +(\d+) +(\d+) +0 `, out.String())
	require.Regexp(t, `(?m)^  power gone, flush.messages=1 +(\d+) +(\d+) +0 `, out.String())
	require.Regexp(t, `(?m)^  power gone, no flush +(\d+) +0 +[1-9]\d* +allowed`, out.String())
	last := fmt.Sprintf("\nverdict: acked=%d read=%[1]d lost=0\n", verdict.Acked)
	require.True(t, strings.HasSuffix(out.String(), last), out.String())
}
