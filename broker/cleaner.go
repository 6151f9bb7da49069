package broker

import (
	"context"
	"errors"
	"syscall"
	"time"

	"github.com/brokersim/brokersim/partition"
)

// A cleaner compacts the logs of topics that ask for it, one at a time and the
// dirtiest first. It has no goroutine but the one that calls run.
type cleaner struct {
	cfg      Config
	node     string
	replicas *replicaTable
	memory   *partition.Cleaner
	damaged  map[*hosted]bool // not compacted any more, until a restart
	tried    map[*hosted]bool // without success, since the last wait
}

func newCleaner(cfg Config, node string, replicas *replicaTable) *cleaner {
	return &cleaner{
		cfg: cfg, node: node, replicas: replicas,
		memory: partition.NewCleaner(cfg.Config.CleanerDedupeBuffer), damaged: map[*hosted]bool{}, tried: map[*hosted]bool{},
	}
}

// run compacts logs until ctx ends. When there is none to compact it waits for
// log.cleaner.backoff.ms.
func (c *cleaner) run(ctx context.Context) error {
	pass := func() error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return c.cfg.Gate.Pass()
	}
	for {
		if err := sleep(ctx, c.cfg.Config.CleanerBackoff); err != nil {
			return err
		}
		clear(c.tried)
		for more := true; more; {
			if err := pass(); err != nil {
				return err
			}
			var err error
			if more, err = c.cleanDirtiest(time.Now(), pass); err != nil {
				return err
			}
		}
	}
}

// cleanDirtiest compacts the log that needs it most, if one does. more tells that
// there may be another.
func (c *cleaner) cleanDirtiest(now time.Time, pass func() error) (more bool, err error) {
	h := c.dirtiest(now)
	if h == nil {
		return false, nil
	}
	from, turn := c.replicas.cleaned.of(h.name())
	done, err := h.replica.Compact(c.memory, now, from, pass)
	switch damage, damaged := errors.AsType[*partition.CorruptError](err); {
	case err == nil:
		return true, c.replicas.cleaned.advance(h.name(), turn, done.To)
	case damaged:
		c.damaged[h] = true // what can be read of it is still served, and what cannot be is refused
		c.cfg.Logger.Warn("a damaged log is not compacted any more", "log", h.dir, "error", damage)
	case errors.Is(err, syscall.ENOSPC):
		c.cfg.Logger.Warn("no room to compact a log", "log", h.dir, "error", err)
	}
	c.tried[h] = true // a replica whose disk broke has said so itself
	return true, nil
}

// dirtiest returns the log with the largest dirty share among those that are due.
func (c *cleaner) dirtiest(now time.Time) (dirtiest *hosted) {
	most := -1.0
	for h := range c.replicas.each() {
		config := h.config.Load()
		if !config.CleanupPolicy.Compact() || c.damaged[h] || c.tried[h] {
			continue
		}
		from, _ := c.replicas.cleaned.of(h.name())
		d := h.replica.Dirtiness(now, from)
		if d.Due(config.MinCleanableDirtyRatio) && (d.Ratio() > most || d.Ratio() == most && h.dir < dirtiest.dir) {
			dirtiest, most = h, d.Ratio()
		}
	}
	return dirtiest
}

func (h *hosted) name() topicPartition {
	return topicPartition{h.replica.Topic(), h.replica.ID().Partition}
}
