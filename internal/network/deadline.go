package network

import (
	"sync"
	"time"
)

// A deadline ends waits of one kind. Its fields are guarded by the mutex of
// the condition that it wakes.
type deadline struct {
	wake   *sync.Cond
	at     time.Time
	timer  *time.Timer // created by the first deadline that lies ahead
	passed bool
}

// setLocked moves the deadline; the zero time removes it. Who waits looks again.
func (d *deadline) setLocked(t time.Time) {
	d.stopLocked()
	d.passed = false
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		d.passed = true
		d.wake.Broadcast()
		return
	}
	d.at = time.Now().Add(left)
	if d.timer == nil {
		d.timer = time.AfterFunc(left, d.fire)
	} else {
		d.timer.Reset(left)
	}
}

func (d *deadline) fire() {
	d.wake.L.Lock()
	defer d.wake.L.Unlock()
	if !d.at.IsZero() && !time.Now().Before(d.at) {
		d.passed = true
		d.wake.Broadcast()
	}
}

func (d *deadline) stopLocked() {
	d.at = time.Time{}
	if d.timer != nil {
		d.timer.Stop()
	}
}
