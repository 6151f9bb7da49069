package story

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/event"
)

// A Stage is where a story is told: headings, what the teller says, and what the
// cluster reports of itself, each with the time since the last Zero.
type Stage struct {
	mu       sync.Mutex
	out      io.Writer
	narrator event.Narrator

	stop context.CancelFunc
	wg   sync.WaitGroup
}

// NewStage returns a stage on which nothing happens yet.
func NewStage(out io.Writer) *Stage {
	return &Stage{out: out, narrator: event.Narrator{Zero: time.Now()}}
}

// Follow starts to narrate what happens in c from now on, in one goroutine that
// Close ends. Only events of the given kinds are told, all if none are given.
func (s *Stage) Follow(c *brokersim.Cluster, kinds ...event.Kind) {
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	since := c.Snapshot().Seq
	s.wg.Go(func() {
		for e := range c.Events(ctx, since) {
			if len(kinds) == 0 || slices.Contains(kinds, e.Kind) {
				s.tell(e)
			}
		}
	})
}

func (s *Stage) tell(e event.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if line := s.narrator.Line(e); line != "" {
		fmt.Fprintln(s.out, memberID.ReplaceAllString(line, "$1$2"))
	}
}

// memberID is a member's id as the cluster makes it: the client's id or its instance, and 22
// characters that nobody can foresee. Three of them tell processes apart here.
var memberID = regexp.MustCompile(`(\w[\w-]*?-[\w-]{3})[\w-]{19}([^\w-]|$)`)

// Heading begins a part of the story.
func (s *Stage) Heading(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintf(s.out, "\n── %s\n", fmt.Sprintf(format, args...))
}

// Say tells something that is no event, with the time since Zero.
func (s *Stage) Say(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(s.out, s.narrator.Say(time.Now(), fmt.Sprintf(format, args...)))
}

// Print writes lines as they are.
func (s *Stage) Print(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fmt.Fprintln(s.out, text)
}

// Zero sets the narration's clock to zero.
func (s *Stage) Zero() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.narrator.Zero = time.Now()
}

// Close stops narrating.
func (s *Stage) Close() {
	if s.stop != nil {
		s.stop()
	}
	s.wg.Wait()
}

// Describe asks the cluster for the topic, as any client would, and shows it in
// the words of kafka-topics --describe.
func Describe(ctx context.Context, c *brokersim.Cluster) (string, error) {
	client, err := NewClient(c)
	if err != nil {
		return "", err
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	topics, err := admin.ListTopics(ctx, Topic)
	if err = errors.Join(err, topics.Error()); err != nil {
		return "", fmt.Errorf("describing %s: %w", Topic, err)
	}
	configs, err := admin.DescribeTopicConfigs(ctx, Topic)
	if err != nil {
		return "", fmt.Errorf("describing the configs of %s: %w", Topic, err)
	}
	topic := topics[Topic]
	var b strings.Builder
	partitions := topic.Partitions.Sorted()
	fmt.Fprintf(&b, "Topic: %s\tTopicId: %s\tPartitionCount: %d\tReplicationFactor: %d\tConfigs: %s",
		Topic, base64.RawURLEncoding.EncodeToString(topic.ID[:]), len(partitions), topic.Partitions.NumReplicas(), own(configs))
	for _, p := range partitions {
		fmt.Fprintf(&b, "\n  Topic: %s\tPartition: %d\tLeader: %d\tReplicas: %s\tIsr: %s",
			Topic, p.Partition, p.Leader, ids(p.Replicas), ids(p.ISR))
	}
	return b.String(), nil
}

// own lists what was set on the topic itself.
func own(resources kadm.ResourceConfigs) string {
	var set []string
	for _, r := range resources {
		for _, c := range r.Configs {
			if c.Source == kmsg.ConfigSourceDynamicTopicConfig {
				set = append(set, c.Key+"="+c.MaybeValue())
			}
		}
	}
	return strings.Join(set, ",")
}

func ids(ids []int32) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(ids), " ", ","), "[]")
}
