package brokertest

import (
	"testing"
	"testing/synctest"
	"time"
)

// Virtual runs f in a bubble of virtual time: sleeps cost nothing, and whatever
// goroutine is left at the end fails the test. At the end of the test, after its
// clean-up, a minute of that time passes, in which clients that do not wait for
// their own goroutines can end them.
func Virtual(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Minute) }) // the first to register is the last to run
		f(t)
	})
}

// inBubble reports whether the caller runs in virtual time. There is no other
// way to ask than to do what is only allowed there.
func inBubble() (yes bool) {
	defer func() {
		if recover() != nil {
			yes = false
		}
	}()
	synctest.Wait()
	return true
}
