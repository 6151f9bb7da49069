// Package gate holds the one way from an incarnation of a node to the world.
//
// Each time a node is started it gets a fresh Gate. What the node does to its
// disk, its network and the event stream passes it, and so does every decision
// that a timer starts. Pause makes everything wait there, like SIGSTOP. Shut
// makes everything fail there, so that whatever a killed incarnation still has
// in flight can reach nothing more.
package gate

import (
	"errors"
	"sync"
	"sync/atomic"
)

// ErrShut is returned to what an ended incarnation still tries to do.
var ErrShut = errors.New("this incarnation of the node has ended")

// A Gate is open, paused or shut. A nil Gate is always open. Its methods are
// safe for concurrent use.
type Gate struct {
	state atomic.Int32 // open, paused, shut: so that Pass costs one load

	mu     sync.Mutex
	resume chan struct{} // closed by Resume and Shut; set while paused
	done   chan struct{} // closed by Shut
}

const (
	open int32 = iota
	paused
	shut
)

// New returns an open gate.
func New() *Gate { return &Gate{done: make(chan struct{})} }

// Pass returns at once while the gate is open, waits while it is paused, and
// returns ErrShut once it is shut. The caller must hold no lock.
func (g *Gate) Pass() error {
	if g == nil || g.state.Load() == open {
		return nil
	}
	for {
		g.mu.Lock()
		state, resume := g.state.Load(), g.resume
		g.mu.Unlock()
		switch state {
		case open:
			return nil
		case shut:
			return ErrShut
		}
		<-resume
	}
}

// Paused reports whether Pass would wait.
func (g *Gate) Paused() bool { return g != nil && g.state.Load() == paused }

// IsShut reports whether Pass would fail.
func (g *Gate) IsShut() bool { return g != nil && g.state.Load() == shut }

// Done is closed once the gate is shut.
func (g *Gate) Done() <-chan struct{} {
	if g == nil {
		return nil
	}
	return g.done
}

// Pause makes Pass wait. Pausing a shut gate does nothing.
func (g *Gate) Pause() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state.Load() == open {
		g.resume = make(chan struct{})
		g.state.Store(paused)
	}
}

// Resume opens a paused gate again.
func (g *Gate) Resume() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.state.Load() == paused {
		g.state.Store(open)
		close(g.resume)
	}
}

// Shut makes Pass fail for ever.
func (g *Gate) Shut() {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch g.state.Load() {
	case shut:
		return
	case paused:
		defer close(g.resume)
	}
	g.state.Store(shut)
	close(g.done)
}
