// Acks puts the same crash to orders with acks 0, 1 and all, and counts what
// each of them loses.
//
// The follower is a little behind the leader, as followers are: the network
// between the brokers takes 20 ms each way. Then the leader's process is killed
// while orders keep coming, and the follower takes over with what it has.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/examples/internal/story"
)

// A setting is one meaning of "acknowledged".
type setting struct {
	name    string
	acks    kgo.Acks
	promise string
}

var settings = []setting{
	{"0", kgo.NoAck(), "acknowledged when sent: nobody ever said that it arrived"},
	{"1", kgo.LeaderAck(), "acknowledged when the leader had written it: what no follower had yet died with the leader"},
	{"all", kgo.AllISRAcks(), "acknowledged when every in-sync replica had written it: whoever leads next has it"},
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	lost, err := run(ctx, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, "acks:", err)
		os.Exit(1)
	}
	if lost["all"] > 0 {
		fmt.Println("acks=all lost what it had promised to keep")
		os.Exit(1)
	}
}

// run returns how many acknowledged orders were lost under each setting.
func run(ctx context.Context, out io.Writer, opts ...brokersim.Option) (map[string]int, error) {
	fmt.Fprintln(out, "the same crash three times: 300 orders, the leader killed after 150")
	fmt.Fprintln(out)
	fmt.Fprintf(out, "  %-5s %6s %6s %6s\n", "acks", "acked", "read", "lost")
	lost := map[string]int{}
	for _, s := range settings {
		v, err := crash(ctx, s, opts...)
		if err != nil {
			return nil, fmt.Errorf("acks=%s: %w", s.name, err)
		}
		lost[s.name] = len(v.Lost)
		fmt.Fprintf(out, "  %-5s %6d %6d %6d   %s\n", s.name, v.Acked, v.Read, len(v.Lost), s.promise)
	}
	return lost, nil
}

// crash kills the leader of a fresh cluster's only partition under load.
func crash(ctx context.Context, s setting, opts ...brokersim.Option) (story.Verdict, error) {
	c, err := brokersim.New(ctx, append(opts, brokersim.Topic(story.Topic, 1, 2))...)
	if err != nil {
		return story.Verdict{}, err
	}
	defer c.Close()
	brokers := []brokersim.End{brokersim.B(1), brokersim.B(2), brokersim.B(3)}
	c.Net().Latency(brokers, brokers, 20*time.Millisecond, 0)

	ledger := story.NewLedger()
	client := []kgo.Opt{kgo.RequiredAcks(s.acks)}
	if s.name != "all" {
		client = append(client, kgo.DisableIdempotentWrite()) // idempotence needs acks=all
	}
	shop, err := story.NewShop(c, ledger, client...)
	if err != nil {
		return story.Verdict{}, err
	}
	defer shop.Close()

	const pause = time.Millisecond
	if err := shop.Place(ctx, 150, pause); err != nil {
		return story.Verdict{}, err
	}
	old := c.Leader(story.Topic, 0)
	if err := old.Kill(); err != nil {
		return story.Verdict{}, err
	}
	if err := shop.Place(ctx, 150, pause); err != nil {
		return story.Verdict{}, err
	}
	shop.Settle()
	if err := c.Wait(ctx, brokersim.NewLeader(story.Topic, 0, old.ID())); err != nil {
		return story.Verdict{}, err
	}
	if err := story.ReadAll(ctx, c, ledger); err != nil {
		return story.Verdict{}, err
	}
	return ledger.Verdict(), nil
}
