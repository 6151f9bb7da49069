package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNoOrderIsForgottenWhoeverDies(t *testing.T) {
	var out bytes.Buffer
	verdict, err := run(t.Context(), &out)
	require.NoError(t, err, out.String())
	require.Regexp(t, `^verdict: orders=1600 processed=1600 twice=[1-9]\d* lost=0$`, verdict.String(), out.String())
	require.True(t, verdict.OK())
	for _, line := range []string{
		"bob is gone; orders cooked and not committed: ",
		", which is the group's broker",
		"is fenced",
		"is the broker of 1 groups",
		"which decides who owns what",
		"is active",
	} {
		require.Contains(t, out.String(), line)
	}
	require.Regexp(t, `: ann-... is a member\n`, out.String())
	require.Regexp(t, `: bob-... is removed: it was silent for its session\n`, out.String())
	require.Regexp(t, `generation \d+: ann \[[0-2]\], bob \[[0-2]\], cay \[[0-2]\]; 300 orders placed`, out.String())
	require.Regexp(t, `generation \d+: ann \[[012 ]+\], cay \[[012 ]+\]; 1600 orders placed`, out.String())
}
