package brokersim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// CreateTopic creates a topic, as a client would, and returns once every
// partition has a leader that knows it. Each cfg is a topic config in Kafka's
// words, as in "min.insync.replicas=2". Errors of Kafka are a *kerr.Error.
func (c *Cluster) CreateTopic(name string, partitions, rf int, cfg ...string) error {
	t := topic{name, partitions, rf, cfg}
	if err := t.check(c.cfg.brokers); err != nil {
		return fmt.Errorf("create topic %q: %w", name, err)
	}
	ctx, cancel := context.WithTimeout(c.life, c.patience())
	defer cancel()
	if err := c.createTopics(ctx, []topic{t}); err != nil {
		return err
	}
	return c.Wait(ctx, All(led(name), everybodyKnows()))
}

// missingTopics are the topics of the options that the cluster, which may be an old one,
// lacks. One that is there must be as the option says.
func (c *Cluster) missingTopics() (missing []topic, err error) {
	have := map[string][]PartitionState{}
	for _, p := range c.Snapshot().Partitions {
		have[p.Topic] = append(have[p.Topic], p)
	}
	for _, t := range c.cfg.topics {
		ps, ok := have[t.name]
		if !ok {
			missing = append(missing, t)
			continue
		}
		if rf := len(ps[0].Assigned); len(ps) != t.partitions || rf != t.rf {
			return nil, fmt.Errorf("Topic(%q, %d, %d): the cluster in %s has it with %d partitions and %d replicas: say so, or name another directory",
				t.name, t.partitions, t.rf, *c.cfg.dataDir, len(ps), rf)
		}
		if err := c.sameConfigs(t); err != nil {
			return nil, err
		}
	}
	return missing, nil
}

// sameConfigs refuses a config that an existing topic has otherwise.
func (c *Cluster) sameConfigs(t topic) error {
	kv, err := pairs(t.cfg)
	if err != nil {
		return err
	}
	have := map[string]string{}
	if known := c.decided().TopicByName(t.name); known != nil {
		have = known.Configs
	}
	for _, key := range slices.Sorted(maps.Keys(kv)) {
		if value, ok := have[key]; !ok || value != kv[key] {
			return fmt.Errorf("Topic(%q): the cluster in %s has it without %s=%s: leave that out, or change it there first",
				t.name, *c.cfg.dataDir, key, kv[key])
		}
	}
	return nil
}

// createTopics asks one running broker after another, until ctx ends.
func (c *Cluster) createTopics(ctx context.Context, topics []topic) error {
	if len(topics) == 0 {
		return nil
	}
	req := createRequest(topics)
	unsure := false // whether an earlier try may have had its effect
	for {
		var err error = errors.New("no broker runs")
		for _, b := range c.brokers {
			if b.now() != Running {
				continue
			}
			var resp *kmsg.CreateTopicsResponse
			if resp, err = c.ask(ctx, b.address.toDial(), req); err == nil {
				err = createResult(resp, unsure)
			}
			if err == nil || errors.As(err, new(*kerr.Error)) && !kerr.IsRetriable(err) {
				return err
			}
			unsure = true
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("create topics: %w", err)
		case <-c.life.Done():
			return fmt.Errorf("create topics: %w", ErrClosed)
		case <-time.After(lookAgain):
		}
	}
}

func createRequest(topics []topic) *kmsg.CreateTopicsRequest {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.Version = 7
	req.TimeoutMillis = 30_000
	for _, t := range topics {
		rt := kmsg.NewCreateTopicsRequestTopic()
		rt.Topic = t.name
		rt.NumPartitions = int32(t.partitions)
		rt.ReplicationFactor = int16(t.rf)
		for _, kv := range t.cfg {
			key, value, _ := strings.Cut(kv, "=")
			cfg := kmsg.NewCreateTopicsRequestTopicConfig()
			cfg.Name, cfg.Value = strings.TrimSpace(key), kmsg.StringPtr(strings.TrimSpace(value))
			rt.Configs = append(rt.Configs, cfg)
		}
		req.Topics = append(req.Topics, rt)
	}
	return req
}

func createResult(resp *kmsg.CreateTopicsResponse, unsure bool) error {
	for _, t := range resp.Topics {
		err := kerr.ErrorForCode(t.ErrorCode)
		if err == nil || unsure && errors.Is(err, kerr.TopicAlreadyExists) {
			continue
		}
		if t.ErrorMessage != nil {
			return fmt.Errorf("create topic %q: %w: %s", t.Topic, err, *t.ErrorMessage)
		}
		return fmt.Errorf("create topic %q: %w", t.Topic, err)
	}
	return nil
}

// ask is the smallest Kafka client: one connection, one request, one answer.
func (c *Cluster) ask(ctx context.Context, addr string, req *kmsg.CreateTopicsRequest) (*kmsg.CreateTopicsResponse, error) {
	conn, err := c.Dial(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	frame := kmsg.NewRequestFormatter(kmsg.FormatterClientID("brokersim")).AppendRequest(nil, req, 1)
	if _, err := conn.Write(frame); err != nil {
		return nil, err
	}
	var length [4]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, err
	}
	body := make([]byte, min(binary.BigEndian.Uint32(length[:]), math.MaxInt32))
	if _, err := io.ReadFull(conn, body); err != nil {
		return nil, err
	}
	const header = 4 + 1 // correlation id and an empty set of tags
	if len(body) < header {
		return nil, io.ErrUnexpectedEOF
	}
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	return resp, resp.ReadFrom(body[header:])
}

// led holds when every partition of the topic has a leader that knows it.
func led(name string) Cond {
	return func(s Snapshot) (bool, string) {
		found := false
		for _, p := range s.Partitions {
			if p.Topic != name {
				continue
			}
			found = true
			if ok, why := hasLeader(p); !ok {
				return false, why
			}
		}
		return found, fmt.Sprintf("topic %q to exist", name)
	}
}

// everybodyKnows holds when every running, unfenced broker has applied all that
// the coordinator had decided.
func everybodyKnows() Cond {
	return func(s Snapshot) (bool, string) {
		for _, b := range s.Brokers {
			if b.Process == Running && b.Registration == Unfenced && b.Offset < s.Offset {
				return false, fmt.Sprintf("broker %d to learn of metadata offset %d: it knows %d", b.ID, s.Offset, b.Offset)
			}
		}
		return true, ""
	}
}
