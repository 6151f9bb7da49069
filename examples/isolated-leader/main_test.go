package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

func TestOnlyWhatWasNeverAcknowledgedIsLost(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		var out bytes.Buffer
		verdict, err := run(t.Context(), &out, brokersim.InMemoryClients())
		require.NoError(t, err, out.String())
		require.Equal(t, "verdict: acked=200 read=200 lost=0 duplicates=0", verdict.String(), out.String())
		for _, line := range []string{
			"the cut-off leader took 20 orders and could acknowledge none: its log ends at 120, its high watermark stands at 100",
			"leads, epoch 1",
			"from 120 to 100",
			"of the 20 orders that nobody acknowledged, 0 are in the log",
		} {
			require.Contains(t, out.String(), line)
		}
	})
}
