package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

func TestTheWatermarkWaitsAndTheISRShrinksAndGrows(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		var out bytes.Buffer
		verdict, err := run(t.Context(), &out, brokersim.InMemoryClients())
		require.NoError(t, err, out.String())
		require.Equal(t, "verdict: acked=100 read=100 lost=0 duplicates=0", verdict.String(), out.String())
		for _, line := range []string{
			"high watermark 50, ISR [1 2 3]",
			"high watermark 50, ISR [1 2 3]\n    broker 1  leader    log ends at 55",
			"shrinks",
			"high watermark 55, ISR [1 3]",
			"grows",
			"high watermark 100, ISR [1 2 3]",
		} {
			require.Contains(t, out.String(), line)
		}
	})
}
