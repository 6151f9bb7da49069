package brokersim

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"runtime/pprof"
	"strings"
	"sync"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/gate"
	"github.com/brokersim/brokersim/internal/network"
	"github.com/brokersim/brokersim/internal/vfs"
)

// A process is one node's life on one machine: a host on the network and a disk,
// which stay, and one incarnation after another that runs there. R is what
// runs. A node ends in one of four ways:
//
//	          peers see         the disk keeps     so it returns
//	Stop      a farewell        everything         clean
//	Kill      refused dials     what was written   clean
//	PowerOff  silence           what was synced    unclean
//	(failed)  refused dials     what was written   as its disk allows
//
// Each incarnation has a gate of its own to disk, network and events. Ending
// one shuts its gate first, so nothing of it can act any more, and then joins it.
type process[R interface{ Close() error }] struct {
	name  string // "broker-2"
	kinds kinds
	label string // of the cluster's goroutines

	events  *event.Log
	log     slog.Handler
	closing func() bool // of the cluster
	host    *network.Host
	disk    disk
	ill     vfs.Faults // of the disk, in force for every incarnation
	// listen opens the node's doors; launch starts an incarnation behind them, which
	// owns them from then on, also if it fails.
	listen func() ([]net.Listener, error)
	launch func(incarnation, []net.Listener) (R, error)

	// verb is held by whoever changes the process; a slot and not a mutex, because
	// joining an incarnation takes time.
	verb chan struct{}

	mu    sync.Mutex
	state Process
	why   error // the newest failure
	gate  *gate.Gate
	run   R

	failing sync.WaitGroup // incarnations that gave up and are being ended
}

// kinds are the events of one sort of node.
type kinds struct{ started, killed, poweredOff, paused, resumed, failed event.Kind }

// An incarnation is what a node is given to run with.
type incarnation struct {
	gate   *gate.Gate
	fs     vfs.FS
	events event.Sink
	logger *slog.Logger
	dial   func(ctx context.Context, network, addr string) (net.Conn, error)
	failed func(error)
}

// start begins a new incarnation with the same name, address and disk.
func (p *process[R]) start() error {
	defer p.hold()()
	if state := p.now(); state.Up() {
		return fmt.Errorf("%s is %s already", p.words(), state)
	}
	r, err := p.prepare()
	if err != nil {
		return err
	}
	return p.begin(r)
}

// A ready incarnation has open doors and does not run yet: who knocks waits.
type ready struct {
	gate  *gate.Gate
	doors []net.Listener
}

// prepare opens the doors of a new incarnation. When many nodes start at once,
// all of them do that first, so that none finds another one's door closed.
func (p *process[R]) prepare() (r ready, err error) {
	r.gate = gate.New()
	p.host.Revive()
	p.host.Attach(r.gate)
	p.labelled(func() { r.doors, err = p.listen() })
	if err != nil {
		r.gate.Shut()
		p.host.Kill()
		return ready{}, fmt.Errorf("start %s: %w", p.words(), err)
	}
	return r, nil
}

// begin lets a prepared incarnation run.
func (p *process[R]) begin(r ready) error {
	p.emit(p.kinds.started)
	var run R
	var err error
	p.labelled(func() { run, err = p.launch(p.incarnate(r.gate), r.doors) })
	if err != nil {
		r.gate.Shut()
		p.host.Kill()
		p.emit(p.kinds.failed, "error", err)
		p.mu.Lock()
		p.state, p.why = Failed, err
		p.mu.Unlock()
		return fmt.Errorf("start %s: %w", p.words(), err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.state, p.gate, p.run = Running, r.gate, run
	return nil
}

func (p *process[R]) incarnate(g *gate.Gate) incarnation {
	return incarnation{
		gate:   g,
		fs:     vfs.Gated(vfs.WithFaults(p.disk, &p.ill), g),
		events: gatedSink{p.events, g},
		logger: slog.New(quietHandler{p.log, func() bool { return g.IsShut() || p.closing() }}),
		dial:   p.host.DialContext,
		failed: func(err error) { p.gaveUp(g, err) },
	}
}

// gaveUp ends the incarnation of g, which has reported that it cannot go on. It
// is called on one of its own goroutines, so another one does the joining.
func (p *process[R]) gaveUp(g *gate.Gate, err error) {
	p.failing.Go(func() {
		defer p.hold()()
		p.mu.Lock()
		current := p.gate == g && p.state.Up()
		if current {
			p.why = err
		}
		p.mu.Unlock()
		if current {
			p.emit(p.kinds.failed, "error", err)
			_ = p.end(Failed, p.host.Kill) // an error: it had ended already
		}
	})
}

// kill ends the process as SIGKILL would.
func (p *process[R]) kill() error {
	defer p.hold()()
	if err := p.mustBeUp(); err != nil {
		return err
	}
	p.emit(p.kinds.killed)
	return p.end(Killed, p.host.Kill)
}

// powerOff ends the machine: its peers hear nothing more, and what was not
// synced is gone.
func (p *process[R]) powerOff() error {
	defer p.hold()()
	if err := p.mustBeUp(); err != nil {
		return err
	}
	p.emit(p.kinds.poweredOff)
	err := p.end(Off, p.host.PowerOff)
	lost := p.disk.PowerLoss() // after the last goroutine that could write is gone
	if err == nil && lost != nil {
		err = fmt.Errorf("the disk of %s in a power loss: %w", p.words(), lost)
	}
	return err
}

// end shuts the incarnation off from the world and joins it. The verb is held.
func (p *process[R]) end(as Process, leave func()) error {
	p.mu.Lock()
	g, run := p.gate, p.run
	p.state = as
	p.mu.Unlock()
	g.Shut()
	leave()
	if err := run.Close(); err != nil {
		return fmt.Errorf("end %s: %w", p.words(), err)
	}
	return nil
}

// pause holds every byte, disk call and timer of the process, until resume.
func (p *process[R]) pause() { p.freeze(Running, Paused, p.kinds.paused, (*gate.Gate).Pause) }

func (p *process[R]) resume() { p.freeze(Paused, Running, p.kinds.resumed, (*gate.Gate).Resume) }

// freeze does nothing unless the process is in state from.
func (p *process[R]) freeze(from, to Process, kind event.Kind, act func(*gate.Gate)) {
	defer p.hold()()
	p.mu.Lock()
	g, ok := p.gate, p.state == from
	if ok {
		p.state = to
	}
	p.mu.Unlock()
	if ok {
		p.emit(kind)
		act(g)
	}
}

// wipe gives the machine an empty disk.
func (p *process[R]) wipe() error {
	defer p.hold()()
	if state := p.now(); state.Up() {
		return fmt.Errorf("%s is %s: end it before its disk is taken away", p.words(), state)
	}
	if err := p.disk.Wipe(); err != nil {
		return fmt.Errorf("wiping the disk of %s: %w", p.words(), err)
	}
	return nil
}

// close ends whatever runs for good: last is for what it may still put in order.
func (p *process[R]) close(last func(R) error) error {
	release := p.hold()
	p.mu.Lock()
	g, run, state := p.gate, p.run, p.state
	if state.Up() {
		p.state = Stopped
	}
	p.mu.Unlock()
	var err error
	if state.Up() {
		if state == Running { // a paused one can do nothing in good order
			err = last(run)
		}
		g.Shut()
		p.host.Kill()
		if e := run.Close(); err == nil {
			err = e
		}
	}
	release()
	p.failing.Wait()
	return err
}

// running returns what runs, if its process is up; a paused one counts.
func (p *process[R]) running() (run R, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.run, p.state.Up()
}

func (p *process[R]) now() Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// failure is why the node gave up; "" if it did not.
func (p *process[R]) failure() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.state != Failed {
		return ""
	}
	return p.why.Error()
}

func (p *process[R]) mustBeUp() error {
	if state := p.now(); !state.Up() {
		return fmt.Errorf("%s is not running: it is %s", p.words(), state)
	}
	return nil
}

// hold waits for the verb at work and takes its place until release is called.
func (p *process[R]) hold() (release func()) {
	p.verb <- struct{}{}
	return func() { <-p.verb }
}

// words is "broker 2" for "broker-2".
func (p *process[R]) words() string { return strings.Replace(p.name, "-", " ", 1) }

func (p *process[R]) emit(kind event.Kind, data ...any) {
	e := event.Event{Kind: kind, Node: p.name, Part: -1, Key: event.ProcessKey(p.name)}
	if len(data) == 2 {
		e.Data = map[string]any{data[0].(string): data[1]}
	}
	p.events.Emit(e)
}

// labelled runs f so that every goroutine that it starts, and theirs, carry the
// names of cluster and node: profiles show them and the leak check finds them.
func (p *process[R]) labelled(f func()) {
	pprof.Do(context.Background(), pprof.Labels(clusterLabel, p.label, "node", p.name), func(context.Context) { f() })
}

// A gatedSink lets an ended incarnation say nothing more.
type gatedSink struct {
	event.Sink
	gate *gate.Gate
}

func (s gatedSink) Emit(events ...event.Event) {
	if !s.gate.IsShut() {
		s.Sink.Emit(events...)
	}
}

func (s gatedSink) EmitAt(offset int64, events ...event.Event) {
	if !s.gate.IsShut() {
		s.Sink.EmitAt(offset, events...)
	}
}
