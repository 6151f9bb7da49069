package broker

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
)

// An openedLog is a log and what opening it found.
type openedLog struct {
	log      *partition.Log
	recovery partition.Recovery
}

// openLogs opens the logs in these directories, as many at a time as there are
// processors: recovery computes checksums for most of its time. If one cannot be
// opened none is.
func (t *replicaTable) openLogs(dirs []string) (map[string]openedLog, error) {
	// Which configs a topic has is not known before the metadata log says so.
	config := t.logConfig(&t.cfg.Config.TopicDefaults, metadata.UUID{})
	logs, errs := make([]openedLog, len(dirs)), make([]error, len(dirs))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(dirs)) {
		wg.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(dirs)); i = next.Add(1) - 1 {
				logs[i].log, logs[i].recovery, errs[i] = partition.Open(t.cfg.FS, dirs[i], config)
			}
		})
	}
	wg.Wait()
	opened := make(map[string]openedLog, len(dirs))
	var failed error
	for i, dir := range dirs {
		if errs[i] == nil {
			opened[dir] = logs[i]
		} else if failed == nil {
			failed = fmt.Errorf("opening the log %s: %w", dir, errs[i])
		}
	}
	if failed != nil {
		for _, o := range opened {
			o.log.Close()
		}
	}
	return opened, failed
}
