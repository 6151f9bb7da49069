package wire

import (
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
)

func TestRelayTravelsInTheEnvelope(t *testing.T) {
	want := Relay{Broker: 3, LeaderEpoch: 7, NewMemberID: "a-1", ClientHost: "/127.0.0.1"}
	env := kmsg.NewPtrEnvelopeRequest()
	env.RequestData = []byte("request")
	_, ok, err := RelayOf(env)
	require.False(t, ok)
	require.NoError(t, err)
	PutRelay(env, want)
	_, back, err := DecodeRequest(AppendRequest(nil, Header{}, env)[4:])
	require.NoError(t, err)
	require.Equal(t, []byte("request"), back.(*kmsg.EnvelopeRequest).RequestData)
	got, ok, err := RelayOf(back.(*kmsg.EnvelopeRequest))
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, want, got)

	resp := kmsg.NewPtrEnvelopeResponse()
	offset, err := ShownUpTo(resp)
	require.NoError(t, err)
	require.Zero(t, offset)
	PutShownUpTo(resp, 1<<40)
	again := kmsg.NewPtrEnvelopeResponse()
	_, err = DecodeResponse(AppendResponse(nil, 1, resp)[4:], again)
	require.NoError(t, err)
	offset, err = ShownUpTo(again)
	require.NoError(t, err)
	require.EqualValues(t, 1<<40, offset)
}

func TestMalformedRelayIsAnAnswer(t *testing.T) {
	env := kmsg.NewPtrEnvelopeRequest()
	PutRelay(env, Relay{NewMemberID: "a-1"})
	whole, _ := tag(&env.UnknownTags, tagRelay)
	for n := range whole {
		env.UnknownTags.Set(tagRelay, whole[:n])
		_, ok, err := RelayOf(env)
		require.True(t, ok)
		require.ErrorIs(t, err, metadata.ErrInvalidRequest)
	}
	resp := kmsg.NewPtrEnvelopeResponse()
	resp.UnknownTags.Set(tagShownUpTo, nil)
	_, err := ShownUpTo(resp)
	require.Error(t, err)
}
