package brokertest

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/event"
)

// newest is how many events a failed test prints, those of partitions of internal topics
// not counted: they are in the trace.
const newest = 200

// A report is what a failed test leaves behind.
type report struct {
	tb    TB
	trace *os.File // nil unless artifacts are kept
}

func newReport(tb TB) *report {
	r := &report{tb: tb}
	if _, benchmark := tb.(interface{ Loop() bool }); !benchmark && keepsArtifacts() {
		f, err := os.Create(filepath.Join(tb.ArtifactDir(), "trace.jsonl"))
		if err != nil {
			tb.Logf("no trace: %v", err)
		} else {
			r.trace = f
		}
	}
	return r
}

// keepsArtifacts reports whether go test was told to keep what tests leave behind.
func keepsArtifacts() bool {
	f := flag.Lookup("test.artifacts")
	return f != nil && f.Value.String() == "true"
}

func (r *report) options() []brokersim.Option {
	if r.trace == nil {
		return nil
	}
	return []brokersim.Option{brokersim.TraceTo(r.trace)}
}

// write prints the state of the cluster and its newest events.
func (r *report) write(c *brokersim.Cluster) {
	var b strings.Builder
	c.Dump(&b)
	if r.trace != nil {
		name := filepath.Join(r.tb.ArtifactDir(), "dump.txt")
		if err := os.WriteFile(name, []byte(b.String()), 0o644); err != nil {
			r.tb.Logf("the dump is not kept: %v", err)
		}
	}
	b.WriteString("the newest events:\n")
	var told event.Narrator
	var story []string
	for _, e := range recent(c, 1<<62) {
		if line := told.Line(e); line != "" {
			story = append(story, fmt.Sprintf("%5d  %s%s\n", e.Seq, line, because(e)))
		}
	}
	for _, line := range story[max(0, len(story)-newest):] {
		b.WriteString(line)
	}
	if r.trace == nil {
		b.WriteString("for the whole trace add -artifacts to go test\n")
	}
	r.tb.Logf("%s", b.String())
}

func because(e brokersim.Event) string {
	if e.Cause == 0 {
		return ""
	}
	return fmt.Sprintf("  <- %d", e.Cause)
}

func (r *report) close() {
	if r.trace != nil {
		r.trace.Close()
	}
}

// recent returns the newest n events that there are now.
func recent(c *brokersim.Cluster, n uint64) []brokersim.Event {
	last := c.Snapshot().Seq
	if last == 0 {
		return nil
	}
	var events []brokersim.Event
	for e := range c.Events(context.Background(), max(last, n)-n) {
		if events = append(events, e); e.Seq >= last {
			break
		}
	}
	return events
}

func lines(head string, errs []error) string {
	var b strings.Builder
	b.WriteString(head)
	for _, err := range errs {
		fmt.Fprintf(&b, "\n\t%v", err)
	}
	return b.String()
}
