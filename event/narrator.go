package event

import (
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/brokersim/brokersim/metadata"
)

// A Narrator tells events with the time since Zero in front. The zero Narrator
// counts from the first event that it tells.
type Narrator struct {
	Zero time.Time
	// Skip leaves these kinds out.
	Skip []Kind
	// Internal tells also what happens day by day to the partitions of internal topics:
	// leaders, ISRs, logs. There are many (50 of __consumer_offsets), and they do what others do.
	Internal bool
}

// Line is one line of the narration, without its end. It is "" for what is left out.
func (n *Narrator) Line(e Event) string {
	if slices.Contains(n.Skip, e.Kind) || !n.Internal && e.ofInternalPartition() {
		return ""
	}
	return n.Say(e.Time, Narrate(e))
}

// ofInternalPartition reports whether e is one of the many that partitions of internal topics
// have. That one is damaged, or that its leader serves groups now, is not.
func (e Event) ofInternalPartition() bool {
	if !metadata.InternalTopic(e.Topic) {
		return false
	}
	switch e.Kind {
	case LeaderElected, LeaderLost, ISRShrunk, ISRGrown, ELRChanged,
		LogRecovered, LogTruncated, LogReset, LogStartMoved, LogCompacted, EpochStarted, HWAdvanced, CaughtUp:
		unclean, _ := e.Data["unclean"].(bool)
		return !unclean
	}
	return false
}

// Say puts the time since Zero in front of words that are no event's.
func (n *Narrator) Say(at time.Time, words string) string {
	if n.Zero.IsZero() {
		n.Zero = at
	}
	return Elapsed(at.Sub(n.Zero)) + "  " + words
}

// Tell writes a line for each event until the sequence ends or w fails.
func (n *Narrator) Tell(w io.Writer, events iter.Seq[Event]) error {
	for e := range events {
		if line := n.Line(e); line != "" {
			if _, err := fmt.Fprintln(w, line); err != nil {
				return err
			}
		}
	}
	return nil
}

// Elapsed writes a duration ten characters wide: milliseconds first, seconds
// from ten of them on.
func Elapsed(d time.Duration) string {
	if d.Abs() < 10*time.Second {
		return fmt.Sprintf("%7.1f ms", float64(d)/float64(time.Millisecond))
	}
	return fmt.Sprintf("%7.1f s ", d.Seconds())
}
