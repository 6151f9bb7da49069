package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
)

func TestOnlyAcksAllLosesNothing(t *testing.T) {
	brokertest.Virtual(t, func(t *testing.T) {
		var out bytes.Buffer
		lost, err := run(t.Context(), &out, brokersim.InMemoryClients())
		require.NoError(t, err, out.String())
		require.Zero(t, lost["all"], out.String())
		require.Positive(t, lost["1"], out.String())
		require.Positive(t, lost["0"], out.String())
	})
}
