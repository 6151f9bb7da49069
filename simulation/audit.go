package simulation

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// groupsAtWork has the plan's groups work until stop ends, and misbehave until ctx does.
func (r *run) groupsAtWork(ctx, stop context.Context) (wait func()) {
	var all sync.WaitGroup
	all.Go(func() { r.hear(stop) })
	for i, g := range r.plan.Groups {
		c := newCrowd(r, g, i)
		for k := range g.Members {
			all.Go(func() { r.member(ctx, stop, c, k) })
		}
		all.Go(func() {
			c.govern(ctx)
			<-stop.Done() // no member begins to haunt any more
			c.ghosts.Wait()
		})
		all.Go(func() { r.audit(stop, g) })
	}
	return all.Wait
}

// audit looks at a group again and again: what it has committed, and who was given what.
func (r *run) audit(ctx context.Context, g Group) {
	for n := 0; sleep(ctx, 400*time.Millisecond); n++ {
		r.ask(ctx, fmt.Sprintf("auditor %d of %s", n, g.Name), func(ctx context.Context, a *asker) {
			a.offsets(ctx, g.Name)
			a.roll(ctx, g)
		})
	}
}

// roll asks who was given what, and notes it if the group is Stable.
func (a *asker) roll(ctx context.Context, g Group) (stable bool) {
	req := kmsg.NewPtrDescribeGroupsRequest()
	req.Groups = []string{g.Name}
	resp, err := req.RequestWith(ctx, a.cl)
	if err != nil || len(resp.Groups) != 1 || resp.Groups[0].ErrorCode != 0 || resp.Groups[0].State != "Stable" {
		return false
	}
	given := map[string][]Place{}
	for _, m := range resp.Groups[0].Members {
		var as kmsg.ConsumerMemberAssignment
		if err := as.ReadFrom(m.MemberAssignment); len(m.MemberAssignment) > 0 && err != nil {
			a.run.wrong("the assignment of %s: %v", m.MemberID, err)
		}
		for _, t := range as.Topics {
			for _, p := range t.Partitions {
				given[m.MemberID] = append(given[m.MemberID], Place{t.Topic, p})
			}
		}
	}
	if err := checkRoll(g, a.run.plan.workPlaces(), given); err != nil {
		a.run.wrong("%w", err)
	}
	return true
}

// groupsAreDone checks that every group is Stable and has come to the ends, in time.
func (r *run) groupsAreDone(ends map[Place]int64) {
	until, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, g := range r.plan.Groups {
		done, stable, at := false, false, map[Place]int64{}
		for !done && sleep(until, 200*time.Millisecond) {
			r.ask(until, "final auditor of "+g.Name, func(ctx context.Context, a *asker) {
				at, stable = a.offsets(ctx, g.Name), a.roll(ctx, g)
			})
			done = stable
			for _, p := range r.plan.workPlaces() {
				done = done && at[p] >= ends[p]
			}
		}
		if !done {
			r.wrong("%s: Stable %v, committed %v, the ends are %v, %v after the last fault was healed", g.Name, stable, at, ends, patience)
		}
	}
}
