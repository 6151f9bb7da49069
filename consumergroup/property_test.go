package consumergroup

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/brokersim/brokersim/metadata"
)

// A script is what befalls a group: drawn once, played as often as wanted.
type script struct {
	config  Config
	coop    bool
	clients int
	static  int // so many of them are static; the last two of three share an instance
	events  []happening
}

type happening struct {
	what string
	who  int
	long time.Duration
}

// The events, each as often as it is listed. Which of the misfortunes there are is drawn for a run.
var (
	daily      = strings.Fields("act act act act act act act act heartbeat heartbeat sleep sleep commit commit rejoin restart leave again")
	misfortune = []string{"slow entry entry failed", "crash crash-committed start start", "deaf hear", "silent heard", "moved", "delete simple"}
)

func drawScript(t *rapid.T) script {
	s := script{config: defaultConfig(), coop: rapid.Bool().Draw(t, "coop"), clients: rapid.SampledFrom([]int{1, 2, 3, 4}).Draw(t, "clients")}
	s.static = rapid.SampledFrom([]int{0, 1, 2, 3, 4}[:s.clients+1]).Draw(t, "static")
	s.config.InitialDelay = rapid.SampledFrom([]time.Duration{0, 3 * time.Second}).Draw(t, "delay")
	if s.static == 0 {
		s.config.MaxSize = rapid.SampledFrom([]int{2, 100, 100}).Draw(t, "size")
	}
	words := daily
	for _, m := range misfortune {
		if rapid.Bool().Draw(t, m) {
			words = append(words[:len(words):len(words)], strings.Fields(m)...)
		}
	}
	who := rapid.SampledFrom([]int{0, 1, 2, 3}[:s.clients])
	event := rapid.Custom(func(t *rapid.T) happening {
		return happening{
			rapid.SampledFrom(words).Draw(t, "what"), who.Draw(t, "who"),
			rapid.SampledFrom([]time.Duration{0, 500 * time.Millisecond, 3 * time.Second, 9 * time.Second, time.Minute}).Draw(t, "long"),
		}
	})
	n := rapid.SampledFrom([]int{5, 20, 60, 120}).Draw(t, "length") // numbers drawn from a range are mostly small
	s.events = rapid.SliceOfN(event, n, n).Draw(t, "events")
	return s
}

// play plays a script, and returns all that was said and the first that is wrong.
func (s script) play() (w *world, said []string, wrong error) {
	w = newWorld(s.config)
	for i := range s.clients {
		c := w.client(string(rune('a' + i)))
		c.coop, c.session, c.timeout = s.coop, 6*time.Second, time.Duration(10+10*i)*time.Second
		if c.version = 9; i%2 == 1 {
			c.version = 3
		}
		if i < s.static {
			c.instance, c.session = fmt.Sprint("instance ", min(i, 1)), 2*time.Minute
		}
	}
	note := func(what string) {
		if faults := w.check(); len(faults) > 0 && wrong == nil {
			wrong = fmt.Errorf("%s: %s", what, strings.Join(faults, "; "))
		}
		if len(w.said) > 0 || what[0] != 'h' {
			said = append(append(said, what), w.said...)
		}
		w.said = nil
	}
	for i, e := range s.events {
		w.happen(e)
		note(fmt.Sprintf("%d %s %d %v", i, e.what, e.who, e.long))
	}
	for i := range 120 {
		w.heal(s.static)
		note(fmt.Sprintf("healing %d", i))
	}
	return w, said, wrong
}

func (w *world) happen(e happening) {
	c := w.clients[e.who]
	switch e.what {
	case "act":
		c.act()
	case "heartbeat":
		if c.phase == working {
			c.heartbeat()
		}
	case "sleep":
		w.sleep(e.long)
	case "commit":
		c.commit()
	case "rejoin":
		if c.phase == working {
			c.join()
		}
	case "restart":
		c.restart()
	case "leave":
		if c.phase == working {
			c.leave()
		}
	case "again":
		if c.phase == joining && c.id == "" {
			c.again()
		}
	case "delete":
		w.send(nil, func(t Token) Request { return Delete{t} })
	case "simple":
		_ = w.commitOffsets(Commit{Generation: -1})
	default:
		w.befall(e)
	}
}

// befall is what happens to the cluster.
func (w *world) befall(e happening) {
	w.restless = true
	switch e.what {
	case "slow":
		w.slow = true
	case "entry":
		if w.proposal != nil {
			w.commit()
		}
	case "failed":
		if w.proposal != nil {
			w.fail(metadata.ErrCoordinatorNotAvailable)
		}
	case "crash", "crash-committed":
		if w.group != nil {
			w.crash(e.what != "crash")
		}
	case "start":
		if w.group == nil {
			w.start()
		}
	case "deaf":
		w.deaf = true
	case "hear":
		w.deaf = false
		w.pass()
	case "silent":
		if w.group != nil {
			w.group.Freeze(w.now.Add(-e.long))
		}
	case "heard":
		if w.group != nil {
			w.take(w.group.Thaw(w.now))
		}
	case "moved":
		if w.group != nil {
			w.take(w.group.Moved(w.now))
		}
	}
}

const partitionCount = 6

// act does what a client does next if nobody disturbs it.
func (c *client) act() {
	switch c.phase {
	case outside:
		c.join()
	case joined:
		c.sync(c.assign(partitionCount))
	case working:
		c.heartbeat()
	case joining, syncing, leaving: // it waits
	}
}

// heal ends all misfortune and lets everybody work for half a second. Of two
// processes with one instance only the first lives on.
func (w *world) heal(static int) {
	if w.group == nil {
		w.start()
	}
	w.slow, w.deaf = false, false
	if w.proposal != nil {
		w.commit()
	}
	w.take(w.group.Thaw(w.now))
	for i, c := range w.clients {
		if i >= 2 && i < static {
			c.restart()
			continue
		}
		c.act()
	}
	w.sleep(500 * time.Millisecond)
}

// settled reports what is not as it should be after everything has healed.
func (w *world) settled(s script) error {
	f, _ := w.facts.(*ClassicFacts)
	if f == nil || f.State != Stable {
		return fmt.Errorf("the group is not stable: %v", factsWords(w.facts))
	}
	owned := 0
	for _, c := range w.clients {
		owned += len(c.owned)
		if c.phase == working && (f.find(c.id) < 0 || c.generation != f.Generation) {
			return fmt.Errorf("%s works, and is no member", c.name)
		}
	}
	// A cooperative static member that restarts between giving up partitions and rejoining
	// leaves them to nobody until the next rebalance: so it is in Kafka.
	if orphans := s.coop && s.static > 0 && owned < partitionCount; owned != partitionCount && !orphans {
		return fmt.Errorf("%d of %d partitions are worked on: %v", owned, partitionCount, factsWords(f))
	}
	if len(f.Members) > s.config.MaxSize {
		return fmt.Errorf("%d members", len(f.Members))
	}
	return nil
}

// Whatever happens, and whenever the coordinator crashes: one owner for each
// partition, generations that rise, one answer for each request, no commit but
// of a member in its generation, and in the end everything is read by somebody. And
// the same events always lead to the same decisions.
func TestWhateverHappens(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawScript(t)
		w, said, wrong := s.play()
		tell := func() string { return strings.Join(said, "\n") }
		require.NoError(t, wrong, "%s", lazy(tell))
		require.NoError(t, w.settled(s), "%s", lazy(tell))
		require.Empty(t, w.calls, "somebody still waits")
		again, saidAgain, _ := s.play()
		require.Equal(t, said, saidAgain, "the same events must lead to the same decisions")
		require.Equal(t, encoded(w.log), encoded(again.log))
	})
}

type lazy func() string

func (l lazy) String() string { return l() }

func encoded(log [][]Fact) (b []byte) {
	for _, entry := range log {
		b = AppendFacts(b, entry)
	}
	return b
}
