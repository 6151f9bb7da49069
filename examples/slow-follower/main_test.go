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
			"log ends at 60",
			"shrinks",
			"high watermark 60",
			"grows",
			"high watermark 100, ISR [1 2 3]",
		} {
			require.Contains(t, out.String(), line)
		}
	})
}
