package consumergroup

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/metadata"
)

// The fence, case by case, as Kafka has it.
func TestCheckCommit(t *testing.T) {
	group := func(s State) Facts {
		f := &ClassicFacts{State: s, Generation: 5, ProtocolType: ConsumerProtocolType}
		if s != Empty {
			f.Members = []Member{{ID: "a"}, {ID: "b", Instance: "two"}}
		}
		return f
	}
	a := Commit{MemberID: "a", Generation: 5}
	simple := Commit{Generation: -1}
	for name, c := range map[string]struct {
		facts  Facts
		commit Commit
		want   error
	}{
		"a member":                               {group(Stable), a, nil},
		"a member while others rejoin":           {group(PreparingRebalance), a, nil},
		"a member that waits for its partitions": {group(CompletingRebalance), a, metadata.ErrRebalanceInProgress},
		"in the generation before":               {group(Stable), Commit{MemberID: "a", Generation: 4}, metadata.ErrIllegalGeneration},
		"in a generation to come":                {group(Stable), Commit{MemberID: "a", Generation: 6}, metadata.ErrIllegalGeneration},
		"a member without a generation":          {group(Stable), Commit{MemberID: "a", Generation: -1}, metadata.ErrIllegalGeneration},
		"nobody":                                 {group(Stable), Commit{MemberID: "z", Generation: 5}, metadata.ErrUnknownMemberID},
		"a generation and no member":             {group(Stable), Commit{Generation: 5}, metadata.ErrUnknownMemberID},
		"a static member":                        {group(Stable), Commit{MemberID: "b", Instance: "two", Generation: 5}, nil},
		"a static member's process before":       {group(Stable), Commit{MemberID: "c", Instance: "two", Generation: 5}, metadata.ErrFencedInstanceID},
		"an unknown instance":                    {group(Stable), Commit{MemberID: "b", Instance: "three", Generation: 5}, metadata.ErrUnknownMemberID},
		"an instance without a generation":       {group(Stable), Commit{MemberID: "b", Instance: "two", Generation: -1}, metadata.ErrIllegalGeneration},
		"the generation goes before the state":   {group(CompletingRebalance), Commit{MemberID: "a", Generation: 4}, metadata.ErrIllegalGeneration},

		"a simple consumer":                       {group(Empty), simple, nil},
		"a member's name without a generation":    {group(Empty), Commit{MemberID: "a", Generation: -1}, nil},
		"a simple consumer beside members":        {group(Stable), simple, metadata.ErrUnknownMemberID},
		"a simple consumer beside those who join": {group(PreparingRebalance), simple, metadata.ErrUnknownMemberID},
		"a member of a group that is empty now":   {group(Empty), a, metadata.ErrUnknownMemberID},
		"a simple consumer of no group":           {nil, simple, nil},
		"a member of no group":                    {nil, a, metadata.ErrGroupIDNotFound},

		"a transaction that names nobody":        {group(Stable), Commit{Generation: -1, Transactional: true}, nil},
		"a transaction of a member":              {group(CompletingRebalance), Commit{MemberID: "a", Generation: 5, Transactional: true}, nil},
		"a transaction in the generation before": {group(Stable), Commit{MemberID: "a", Generation: 4, Transactional: true}, metadata.ErrIllegalGeneration},
	} {
		require.ErrorIs(t, CheckCommit(c.facts, c.commit), c.want, name)
	}
}

func TestCheckDelete(t *testing.T) {
	members := []Member{{ID: "a"}}
	require.ErrorIs(t, CheckDelete(nil), metadata.ErrGroupIDNotFound)
	require.NoError(t, CheckDelete(&ClassicFacts{}))
	require.ErrorIs(t, CheckDelete(&ClassicFacts{State: Stable, Members: members}), metadata.ErrNonEmptyGroup)
	require.ErrorIs(t, CheckOffsetDelete(nil), metadata.ErrGroupIDNotFound)
	require.NoError(t, CheckOffsetDelete(&ClassicFacts{}))
	require.NoError(t, CheckOffsetDelete(&ClassicFacts{State: Stable, ProtocolType: ConsumerProtocolType, Members: members}))
	require.ErrorIs(t, CheckOffsetDelete(&ClassicFacts{State: Stable, ProtocolType: "connect", Members: members}), metadata.ErrNonEmptyGroup)
}

func TestCheckHeartbeat(t *testing.T) {
	f := &ClassicFacts{State: Stable, Generation: 5, Members: []Member{{ID: "a"}, {ID: "b", Instance: "two"}}}
	over := *f
	over.State = PreparingRebalance
	for name, c := range map[string]struct {
		facts Facts
		beat  Heartbeat
		want  error
	}{
		"a member":                         {f, Heartbeat{MemberID: "a", Generation: 5}, nil},
		"of another generation":            {f, Heartbeat{MemberID: "a", Generation: 4}, metadata.ErrIllegalGeneration},
		"of a generation that is over":     {&over, Heartbeat{MemberID: "a", Generation: 5}, metadata.ErrRebalanceInProgress},
		"nobody":                           {f, Heartbeat{MemberID: "z", Generation: 5}, metadata.ErrUnknownMemberID},
		"a static member's process before": {f, Heartbeat{MemberID: "c", Instance: "two", Generation: 5}, metadata.ErrFencedInstanceID},
		"no group":                         {nil, Heartbeat{MemberID: "a", Generation: 5}, metadata.ErrUnknownMemberID},
	} {
		require.ErrorIs(t, CheckHeartbeat(c.facts, c.beat), c.want, name)
	}
}
