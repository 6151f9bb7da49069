package vfs

import (
	"io"
	"path"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/brokersim/brokersim/internal/gate"
)

// Op is a set of operations on a disk.
type Op uint16

// The operations. OpSync is of a file, OpSyncDir of a directory's names.
const (
	OpOpen Op = 1 << iota
	OpCreate
	OpRead
	OpWrite
	OpSync
	OpTruncate
	OpRemove
	OpRename
	OpMkdir
	OpList
	OpSyncDir

	AnyOp Op = 1<<iota - 1
)

// Faults is what is wrong with a disk at present. The zero value is a healthy
// one. Each fault lasts until its heal function is called, and several add up.
// It is safe for concurrent use and must not be copied.
type Faults struct {
	mu   sync.Mutex
	list atomic.Pointer[[]*fault] // replaced as a whole; nil while the disk is healthy
}

// A Fault is what goes wrong with some operations.
type Fault struct {
	Ops   Op
	Name  string // pattern of the file's name, as for Fail
	Err   error
	Keep  int // bytes of a write that arrive all the same
	After int // so many of these operations go well before it strikes
	Times int // so often it strikes, and no more; 0: until it is healed
}

// A fault is one thing that is wrong.
type fault struct {
	Fault
	delay  time.Duration // before the operation has its effect
	held   chan struct{} // closed when an operation is held; nil: none is to be
	once   sync.Once     // to close held
	met    atomic.Int64  // operations that matched so far
	healed chan struct{} // closed then
	over   sync.Once     // to close healed
}

// SlowBy makes every write last longer by write, and every sync by sync. What is
// under way when the fault heals goes on at once; what is under way when the
// incarnation ends is given up.
func (f *Faults) SlowBy(write, sync time.Duration) (heal func()) {
	return f.add(&fault{Fault: Fault{Ops: OpWrite}, delay: write}, &fault{Fault: Fault{Ops: OpSync | OpSyncDir}, delay: sync})
}

// Inject makes a fault strike until it is healed, or has struck often enough.
func (f *Faults) Inject(what Fault) (heal func()) { return f.add(&fault{Fault: what}) }

// Hold makes operations wait, before they have any effect, until release is called or
// their incarnation ends. held is closed when the first of them waits.
func (f *Faults) Hold(ops Op, name string) (held <-chan struct{}, release func()) {
	x := &fault{Fault: Fault{Ops: ops, Name: name}, held: make(chan struct{})}
	return x.held, f.add(x)
}

// Fail makes operations fail with err. name is a pattern of path.Match for the
// file's last name or for its whole one; "" is every file. A rename goes by its
// old name.
func (f *Faults) Fail(ops Op, name string, err error) (heal func()) {
	return f.Inject(Fault{Ops: ops, Name: name, Err: err})
}

// Full makes everything fail that needs room, like a full disk.
func (f *Faults) Full() (heal func()) {
	return f.Inject(Fault{Ops: OpCreate | OpWrite | OpMkdir, Err: syscall.ENOSPC})
}

// ShortWrite makes writes fail after at most keep bytes have arrived.
func (f *Faults) ShortWrite(name string, keep int) (heal func()) {
	return f.Inject(Fault{Ops: OpWrite, Name: name, Keep: keep, Err: io.ErrShortWrite})
}

// HealAll heals everything.
func (f *Faults) HealAll() {
	var all []*fault
	f.change(func(list []*fault) []*fault { all = list; return nil })
	for _, x := range all {
		x.heal()
	}
}

func (f *Faults) add(more ...*fault) (heal func()) {
	for _, x := range more {
		x.healed = make(chan struct{})
	}
	f.change(func(list []*fault) []*fault { return append(list, more...) })
	return sync.OnceFunc(func() {
		f.change(func(list []*fault) []*fault {
			return slices.DeleteFunc(list, func(x *fault) bool { return slices.Contains(more, x) })
		})
		for _, x := range more {
			x.heal()
		}
	})
}

func (x *fault) heal() { x.over.Do(func() { close(x.healed) }) }

func (f *Faults) change(edit func([]*fault) []*fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var list []*fault
	if now := f.list.Load(); now != nil {
		list = slices.Clone(*now)
	}
	if list = edit(list); len(list) == 0 {
		f.list.Store(nil)
		return
	}
	f.list.Store(&list)
}

// strike waits as long as op on name is to be slow, passes g again if it was, and
// returns what op is to fail with.
func (f *Faults) strike(g *gate.Gate, op Op, name string) (keep int, err error) {
	list := f.list.Load()
	if list == nil {
		return 0, nil
	}
	slow := false
	for _, x := range *list {
		if x.Ops&op == 0 || !x.matches(name) || !x.due() {
			continue
		}
		if x.delay > 0 || x.held != nil {
			slow = true
			x.linger(g)
		}
		if err == nil && x.Err != nil {
			keep, err = x.Keep, x.Err
		}
	}
	if slow {
		if shut := g.Pass(); shut != nil {
			return 0, shut
		}
	}
	return keep, err
}

// due counts an operation and reports whether the fault strikes it.
func (x *fault) due() bool {
	n := int(x.met.Add(1)) - x.After
	return n > 0 && (x.Times == 0 || n <= x.Times)
}

// linger waits for the delay, or for the release of what is held, and no longer than
// the fault and the incarnation last. The caller holds no lock.
func (x *fault) linger(g *gate.Gate) {
	var over <-chan time.Time
	if x.held != nil {
		x.once.Do(func() { close(x.held) })
	} else {
		timer := time.NewTimer(x.delay)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
	case <-x.healed:
	case <-g.Done():
	}
}

func (x *fault) matches(name string) bool {
	if x.Name == "" {
		return true
	}
	if ok, _ := path.Match(x.Name, path.Base(name)); ok {
		return true
	}
	ok, _ := path.Match(x.Name, name)
	return ok
}
