package partition

import "sync"

// A tip is how far the end of a log has come: written, synced, shown.
//
// A sync is owed while flush.messages or more offsets are written and not synced.
// As long as none is, what is written is shown at once. While one is, nothing more
// is shown until a sync returns, and then what that sync met. Who appended waits
// for it in AwaitSynced. The first to find the turn to sync free does one for all
// that is written by then; what is written meanwhile is for the next one.
//
// Appends are counted, and waited for by their number: an offset may be cut off and
// given out again.
type tip struct {
	mu      sync.Mutex    // a leaf: nothing is waited for under it
	newest  written       // changed with the writer's slot held, too
	durable int64         // what is below was met by a sync
	shown   uint64        // number of the newest append that readers see
	waited  chan struct{} // closed when more is shown; nil while nobody waits
}

// written is one moment of a log's end.
type written struct {
	number uint64 // of the append, counted since Open
	next   int64  // the offset behind it
	behind milestone
	in     *segment
}

// begin makes the tip what recovery has published. Of the last segment nobody knows
// how much is durable; those before it were synced when they were rolled.
func (t *tip) begin(end int64, active *segment) {
	t.newest = written{next: end, behind: active.size.end(), in: active}
	t.durable = active.base
}

// move says where the next append goes, after a roll or a cut. All that was written
// is shown, and the writer's slot is held.
func (t *tip) move(next int64, behind milestone, in *segment) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.newest.next, t.newest.behind, t.newest.in = next, behind, in
	t.durable = min(t.durable, next)
}

func (t *tip) owesLocked(flush int64) bool { return t.newest.next-t.durable >= flush }

func (t *tip) settledLocked(flush int64) bool {
	return t.shown == t.newest.number && !t.owesLocked(flush)
}

// wrote takes note of an append that ends at this offset and milestone. It shows it,
// unless a sync is owed. The writer's slot is held.
func (l *Log) wrote(next int64, behind milestone) {
	t := &l.tip
	t.mu.Lock()
	defer t.mu.Unlock()
	t.newest.number++
	t.newest.next, t.newest.behind = next, behind
	if !t.owesLocked(l.cfg.Load().FlushMessages) {
		l.showLocked(t.newest)
	}
}

// met takes note that a sync has met everything written up to w.
func (l *Log) met(w written) {
	t := &l.tip
	t.mu.Lock()
	defer t.mu.Unlock()
	t.durable = max(t.durable, w.next)
	if !t.owesLocked(l.cfg.Load().FlushMessages) {
		w = t.newest
	}
	l.showLocked(w)
}

// showLocked lets readers see what is written up to w.
func (l *Log) showLocked(w written) {
	t := &l.tip
	if w.number <= t.shown {
		return // more than the sync has met is shown already
	}
	w.in.size.Store(w.behind)
	l.end.Store(w.next)
	t.shown = w.number
	if t.waited != nil {
		close(t.waited)
		t.waited = nil
	}
}

// owed is the append that one which has just been written, or repeated, has to wait
// for; 0 if it is shown up to this offset. The writer's slot is held.
func (l *Log) owed(next int64) uint64 {
	if next <= l.end.Load() {
		return 0
	}
	return l.tip.newest.number
}

// AwaitSynced waits until what an append wrote is shown, if it owes a sync
// (AppendInfo.SyncOwed). Whoever appended must call it: nobody else is sure to do
// the sync. It fails with ErrStorage if the sync does, for all who wait for it, or
// if the log is closed meanwhile. That the batch is still there afterwards it does
// not say: it may be cut off as soon as it is synced.
func (l *Log) AwaitSynced(a AppendInfo) error {
	if a.owed == 0 {
		return nil
	}
	for {
		shown, more, err := l.outcome(a.owed)
		if shown || err != nil {
			return err
		}
		select {
		case l.syncing <- struct{}{}:
			if shown, _, err = l.outcome(a.owed); !shown && err == nil {
				err = l.syncHeld()
			}
			<-l.syncing
			if err != nil {
				return err
			}
		case <-more:
		}
	}
}

// outcome reports whether the append of this number is shown, or why it never will
// be. more is closed when more is shown.
func (l *Log) outcome(number uint64) (shown bool, more <-chan struct{}, err error) {
	t := &l.tip
	t.mu.Lock()
	defer t.mu.Unlock()
	if number <= t.shown {
		return true, nil, nil
	}
	if err := l.usable(); err != nil {
		return false, nil, err
	}
	if t.waited == nil {
		t.waited = make(chan struct{})
	}
	return false, t.waited, nil
}

// Settle waits until no sync is owed, and what is written is shown: for who is
// about to tell others where the log ends, in a new role. That includes what
// recovery has found, which a crash may have kept from being synced.
func (l *Log) Settle() error {
	l.tip.mu.Lock()
	settled := l.tip.settledLocked(l.cfg.Load().FlushMessages)
	l.tip.mu.Unlock()
	if settled {
		return nil
	}
	return l.Sync()
}

// Sync makes everything appended so far durable. Appends go on meanwhile. A sync
// that fails is never tried again: what it was to save may be gone already, so the
// log takes no more appends.
func (l *Log) Sync() error {
	defer l.still()()
	if err := l.usable(); err != nil {
		return err
	}
	return l.syncHeld()
}

// still waits for the turn to sync and takes it until release is called. Who holds
// the writer's slot may wait for it, never the other way round.
func (l *Log) still() (release func()) {
	l.syncing <- struct{}{}
	return l.stir
}

func (l *Log) stir() { <-l.syncing }

// syncHeld makes what is written durable, and shows it. The turn to sync is held.
func (l *Log) syncHeld() error {
	l.tip.mu.Lock()
	w := l.tip.newest
	l.tip.mu.Unlock()
	if err := w.in.flushIndexes(); err != nil {
		return l.fail("write the index", err)
	}
	if err := w.in.milestones.sync(); err != nil {
		return l.fail("sync the milestones", err)
	}
	if err := w.in.file.Sync(); err != nil {
		return l.fail("sync", err)
	}
	if l.newNames.Swap(false) {
		if err := l.fs.SyncDir(l.dir); err != nil {
			return l.fail("sync the directory", err)
		}
	}
	l.met(w)
	return nil
}
