package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/event"
)

// up holds the flags of "brokersim up".
type up struct {
	brokers, coordinators int
	port                  int
	listen                []string
	advertise             string
	topics                []string
	configs               []string
	kafkaTimings          bool
	timescale             float64
	dataDir               string
}

func upCommand() *cobra.Command {
	var u up
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start a cluster and keep it until Ctrl-C",
		Long: `Start a cluster for clients outside this process and narrate what happens in it.

Broker 1 listens on --port, broker 2 on the next one, and so on, on 127.0.0.1 and
::1, since clients resolve localhost to either.

Memory is the disk, and the cluster is gone with the process. With --data-dir it lives
in a directory and goes on where it was, also after a crash.`,
		Example: `  brokersim up -t orders:3:2 -c min.insync.replicas=2
  brokersim up --data-dir ./data
  kcat -b localhost:9092 -L`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return u.run(cmd.Context(), cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.IntVarP(&u.brokers, "brokers", "n", 3, "number of brokers")
	f.IntVar(&u.coordinators, "coordinators", 3, "number of coordinator nodes: 1, 3 or 5")
	f.IntVar(&u.port, "port", 9092, "port of broker 1; each further broker takes the next one")
	f.StringSliceVar(&u.listen, "listen", []string{"127.0.0.1", "::1"}, "addresses to listen on")
	f.StringVar(&u.advertise, "advertise", "", "host that clients are told (default: the first --listen)")
	f.StringArrayVarP(&u.topics, "topic", "t", nil, "topic to create, as name:partitions:replicas; repeatable")
	f.StringArrayVarP(&u.configs, "config", "c", nil, "broker config, as key=value; repeatable")
	f.StringVar(&u.dataDir, "data-dir", "", "directory that the cluster lives in, made if it is missing (default: memory)")
	f.BoolVar(&u.kafkaTimings, "kafka-timings", false, "Kafka's own timeouts (session 9 s, lag 30 s) instead of the short ones")
	f.Float64Var(&u.timescale, "timescale", 1, "multiply every timeout, to watch in slow motion")
	return cmd
}

// run starts the cluster, narrates until ctx ends, and stops the cluster.
func (u up) run(ctx context.Context, out io.Writer) error {
	opts, err := u.options()
	if err != nil {
		return err
	}
	started := time.Now()
	c, err := brokersim.New(ctx, opts...)
	if err != nil {
		if ctx.Err() != nil {
			return nil // interrupted while it started
		}
		return err
	}
	fmt.Fprintf(out, "bootstrap servers: %s\n", strings.Join(c.Addrs(), ","))
	narrator := event.Narrator{Zero: started}
	told := narrator.Tell(out, c.Events(ctx, 0))
	fmt.Fprintln(out, narrator.Say(time.Now(), "stopping; interrupt again to stop at once"))
	if err := c.Close(); err != nil {
		return &failure{fmt.Errorf("stopping: %w", err)}
	}
	if told != nil {
		return &failure{fmt.Errorf("narrating: %w", told)}
	}
	return nil
}

func (u up) options() ([]brokersim.Option, error) {
	opts := []brokersim.Option{
		brokersim.Brokers(u.brokers),
		brokersim.Coordinators(u.coordinators),
		brokersim.Ports(u.port),
		brokersim.Listen(u.listen...),
		brokersim.BrokerConfig(u.configs...),
		brokersim.Timescale(u.timescale),
	}
	if u.dataDir != "" {
		opts = append(opts, brokersim.DataDir(u.dataDir))
	}
	if u.advertise != "" {
		opts = append(opts, brokersim.Advertise(u.advertise))
	}
	if u.kafkaTimings {
		opts = append(opts, brokersim.KafkaTimings())
	}
	for _, text := range u.topics {
		topic, err := parseTopic(text)
		if err != nil {
			return nil, err
		}
		opts = append(opts, topic)
	}
	return opts, nil
}

// parseTopic reads name:partitions:replicas.
func parseTopic(text string) (brokersim.Option, error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return nil, fmt.Errorf("--topic %q: want name:partitions:replicas, such as orders:3:2", text)
	}
	partitions, err := strconv.Atoi(parts[1])
	if err != nil {
		return nil, fmt.Errorf("--topic %q: %q is no number of partitions", text, parts[1])
	}
	replicas, err := strconv.Atoi(parts[2])
	if err != nil {
		return nil, fmt.Errorf("--topic %q: %q is no number of replicas", text, parts[2])
	}
	return brokersim.Topic(parts[0], partitions, replicas), nil
}
