package kafka

import (
	"bufio"
	"cmp"
	"encoding/json"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
)

// A ledger knows the records that were acknowledged, by topic.
type ledger struct {
	mu      sync.Mutex
	records map[string][]*kgo.Record
}

func (l *ledger) note(r *kgo.Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.records == nil {
		l.records = map[string][]*kgo.Record{}
	}
	l.records[r.Topic] = append(l.records[r.Topic], r)
}

// since returns what was acknowledged from an offset on, in its order.
func (l *ledger) since(topic string, start int64) []*kgo.Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	byOffset := func(a, b *kgo.Record) int { return cmp.Compare(a.Offset, b.Offset) }
	slices.SortFunc(l.records[topic], byOffset)
	i, _ := slices.BinarySearchFunc(l.records[topic], &kgo.Record{Offset: start}, byOffset)
	return l.records[topic][i:]
}

// shown is how the tool shows a record. The leader decides about the time if the topic
// says so: then it is what was found.
func shown(r *kgo.Record, found record) record {
	out := record{
		offset: r.Offset, timestamp: r.Timestamp.UnixMilli(), key: string(r.Key), value: string(r.Value),
		hasKey: r.Key != nil, hasVal: r.Value != nil,
	}
	if r.Topic == "stamped" {
		out.timestamp = found.timestamp
	}
	var headers []string
	for _, h := range r.Headers {
		headers = append(headers, h.Key)
	}
	out.headers = strings.Join(headers, ",")
	return out
}

// childDir names the directory that a child process is to use.
const childDir = "BROKERSIM_DUMP_CHILD_DIR"

// TestChildProcess is no test: it is what the process does that will be killed. It prints
// each record that is acknowledged, writes everything, and then one record after the
// other.
func TestChildProcess(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		t.Skip("it is started by TestDumpAfterAKill")
	}
	c, err := brokersim.New(t.Context(), options(dir)...)
	require.NoError(t, err)
	out := json.NewEncoder(os.Stdout)
	w := writer{t, c, func(r *kgo.Record) {
		said := *r
		said.Context = nil
		_ = out.Encode(said)
	}}
	w.everything()
	w.with(nil, func(cl *kgo.Client) {
		for {
			for _, topic := range []string{"idempotent", "epochs", "packed", last} {
				w.batch(cl, topic, 3, func(int) *kgo.Record { return &kgo.Record{Key: []byte("k"), Value: []byte("until it is killed")} })
			}
		}
	})
}

// last is the topic to which a child writes the more, the longer it lives.
const last = "one"

// killedChild lets a child write everything and kills it, without a warning, while it
// goes on.
func killedChild(t *testing.T, dir string) *ledger {
	t.Helper()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestChildProcess$")
	child.Env = append(os.Environ(), childDir+"="+dir)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	acked := new(ledger)
	lines, killed := bufio.NewScanner(out), false
	for lines.Scan() {
		r := new(kgo.Record)
		if !strings.HasPrefix(lines.Text(), "{") {
			continue
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), r))
		acked.note(r)
		if !killed && r.Topic == last && strings.HasPrefix(string(r.Value), "until") && len(acked.records[last]) > 400 {
			require.NoError(t, child.Process.Kill())
			killed = true
		}
	}
	require.Error(t, child.Wait(), "it was killed")
	require.True(t, killed, "it ended by itself")
	return acked
}
