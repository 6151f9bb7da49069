package invariant

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/metadata"
)

// healthy is a partition of three replicas that all hold ten batches of one record.
func healthy() View {
	v := View{
		Topic: "orders", MinISR: 2, Inside: map[int32]bool{1: true, 2: true, 3: true},
		Decided: metadata.Partition{
			Replicas: []int32{1, 2, 3}, ISR: []int32{1, 2, 3}, Leader: 1, LastKnownLeader: metadata.NoLeader, LeaderEpoch: 4,
		},
	}
	for id := int32(1); id <= 3; id++ {
		r := Replica{Broker: id, LeaderEpoch: 4, HW: 10, LEO: 10}
		for o := range int64(10) {
			r.Batches = append(r.Batches, Batch{Base: o, Last: o, Epoch: int32(o / 3), Bytes: 70, Sum: uint32(o) * 7})
		}
		v.Replicas = append(v.Replicas, r)
	}
	lead := &v.Replicas[0]
	lead.Leads, lead.MaximalISR, lead.FollowerEnds = true, []int32{1, 2, 3}, map[int32]int64{1: 10, 2: 10, 3: 10}
	return v
}

func TestHealthyBreaksNothing(t *testing.T) {
	require.Empty(t, Check(healthy()))
	require.Empty(t, Check(View{Decided: metadata.Partition{Leader: metadata.NoLeader}}))
}

// Replicas of a compacted topic leave out what they like, and nothing else.
func TestCompactedReplicasNeedNotBeEqual(t *testing.T) {
	v := healthy()
	drop(&v.Replicas[1], 4)
	v.Replicas[2].Batches[5].Sum++
	require.NotEmpty(t, Check(v))
	v.Compacted = true
	require.Empty(t, Check(v))
	v.Replicas[2].Batches[5].Epoch++
	require.NotEmpty(t, Check(v))
}

// Each case breaks one rule; the check must name it.
func TestCheckFinds(t *testing.T) {
	for name, c := range map[string]struct {
		harm func(*View)
		want string
	}{
		"foreign in ISR":        {func(v *View) { v.Decided.ISR = []int32{1, 2, 9} }, "not assigned"},
		"twice in ISR":          {func(v *View) { v.Decided.ISR = []int32{1, 1, 2} }, "is twice in the ISR"},
		"in ISR and ELR":        {func(v *View) { v.Decided.ISR = []int32{1}; v.Decided.ELR = []int32{1, 2} }, "and in the ELR"},
		"ELR beside a big ISR":  {func(v *View) { v.Decided.ISR = []int32{1, 2}; v.Decided.ELR = []int32{3} }, "yet the ELR is"},
		"fenced in ISR":         {func(v *View) { v.Inside[2] = false }, "fenced and in the ISR"},
		"leader outside":        {func(v *View) { v.Decided.Leader = 2; v.Decided.ISR = []int32{1, 3} }, "not in the ISR"},
		"recovering in company": {func(v *View) { v.Decided.Recovering = true }, "recovering"},
		"offsets out of order":  {func(v *View) { v.Replicas[1].LEO = 9 }, "out of order"},
		"gap":                   {func(v *View) { drop(&v.Replicas[1], 4) }, "does not follow"},
		"epochs fall":           {func(v *View) { v.Replicas[1].Batches[3].Epoch = 3 }, "follows epoch"},
		"epoch of the future":   {func(v *View) { v.Replicas[1].Batches[9].Epoch = 5 }, "and the newest is 4"},
		"HW above a follower":   {func(v *View) { v.Replicas[0].FollowerEnds[3] = 9 }, "above the log end 9 of broker 3"},
		"two leaders": {func(v *View) {
			v.Replicas[1].Leads = true
		}, "whose leader is 1"},
		"candidate without the end": {func(v *View) { cut(&v.Replicas[2], 8) }, "may lead next"},
		"other bytes":               {func(v *View) { v.Replicas[2].Batches[5].Sum++ }, "logs differ"},
		"other epoch":               {func(v *View) { v.Replicas[2].Batches[5].Epoch = 2 }, "logs differ"},
	} {
		t.Run(name, func(t *testing.T) {
			v := healthy()
			c.harm(&v)
			broken := Check(v)
			require.NotEmpty(t, broken)
			require.True(t, slices.ContainsFunc(broken, func(err error) bool {
				return strings.Contains(err.Error(), c.want)
			}), "%v\nnames nothing like %q", broken, c.want)
			require.Contains(t, broken[0].Error(), "orders-0: ")
		})
	}
}

// What is legal must not be flagged.
func TestCheckAllows(t *testing.T) {
	for name, change := range map[string]func(*View){
		"a follower one fetch behind": func(v *View) { v.Replicas[2].HW = 8 },
		"an old leader that has not heard": func(v *View) {
			v.Replicas[2].Leads, v.Replicas[2].LeaderEpoch, v.Replicas[2].MaximalISR = true, 3, []int32{3}
			v.Replicas[2].FollowerEnds = map[int32]int64{3: 10}
		},
		"divergence above the high watermark": func(v *View) {
			v.Replicas[2].HW = 6
			v.Replicas[2].Batches[7].Sum++
		},
		"a short log outside the ISR": func(v *View) {
			v.Decided.ISR = []int32{1, 2}
			cut(&v.Replicas[2], 5)
		},
		"what an unclean election gave up": func(v *View) {
			v.Unclean = true
			v.Decided.ISR = []int32{1, 2}
			v.Replicas[2].Batches[5].Sum++
		},
		"only the newest batches are known": func(v *View) {
			v.Replicas[1].Batches = v.Replicas[1].Batches[6:]
		},
		"the ELR of a small ISR": func(v *View) { v.Decided.ISR, v.Decided.ELR = []int32{1}, []int32{2} },
	} {
		t.Run(name, func(t *testing.T) {
			v := healthy()
			change(&v)
			require.Empty(t, Check(v))
		})
	}
}

func TestHistory(t *testing.T) {
	var h History
	require.NoError(t, h.Elected("orders", 0, 0, 1))
	require.NoError(t, h.Elected("orders", 0, 1, 2))
	require.NoError(t, h.Elected("orders", 1, 0, 3), "another partition")
	require.NoError(t, h.Elected("orders", 0, 1, 2), "told twice")
	require.ErrorContains(t, h.Elected("orders", 0, 1, 3), "both elected in epoch 1")
	require.NoError(t, h.Elected("orders", 0, 5, 3))
	require.ErrorContains(t, h.Elected("orders", 0, 4, 3), "after epoch 5")
}

func drop(r *Replica, i int) { r.Batches = slices.Delete(r.Batches, i, i+1) }

func cut(r *Replica, end int64) { r.Batches, r.LEO, r.HW = r.Batches[:end], end, min(r.HW, end) }
