package brokersim

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/brokersim/brokersim/internal/vfs"
)

// A disk is what a node's files are on. It outlives every incarnation.
type disk interface {
	vfs.FS
	// PowerLoss takes away what was not synced, Wipe everything. No incarnation may be left.
	PowerLoss() error
	Wipe() error
}

// memory is a disk that ends with the cluster.
type memory struct{ *vfs.Mem }

func (m memory) PowerLoss() error { m.Mem.PowerLoss(); return nil }
func (m memory) Wipe() error      { m.Mem.Wipe(); return nil }

// lasting is a disk below DataDir.
type lasting struct {
	*vfs.Directory
	wiped string // path of a file that says that it was wiped on purpose
}

func (l *lasting) Wipe() error {
	if err := os.WriteFile(l.wiped, nil, 0o644); err != nil {
		return err
	}
	return l.Directory.Wipe()
}

// Disk is a node's disk, to make it ill. Its faults outlast the process: a node
// that is started again finds the disk as ill as before.
type Disk struct {
	c    *Cluster
	node string
	ill  *vfs.Faults
}

// Slow makes each write and each sync take that much longer.
func (d *Disk) Slow(write, fsync time.Duration) *Fault {
	if write < 0 || fsync < 0 {
		return d.c.faults.impossible(fmt.Errorf("Slow(%v, %v): time cannot be negative", write, fsync))
	}
	return d.inject(fmt.Sprintf("slow disk: %v a write, %v a sync", write, fsync), d.ill.SlowBy(write, fsync))
}

// Full makes everything fail that needs more space, with ENOSPC.
func (d *Disk) Full() *Fault { return d.inject("full disk", d.ill.Full()) }

// Fail makes every write and sync fail with err. As with Kafka's last log
// directory, the node gives up at the first failure.
func (d *Disk) Fail(err error) *Fault {
	if err == nil {
		return d.c.faults.impossible(errors.New("Fail(nil): name the error, as in syscall.EIO"))
	}
	return d.inject(fmt.Sprintf("failing disk: %v", err), d.ill.Fail(vfs.OpWrite|vfs.OpSync, "", err))
}

func (d *Disk) inject(what string, heal func()) *Fault {
	return d.c.faults.inject(d.node, fmt.Sprintf("%s: %s", ends([]End{End(d.node)}), what), heal)
}
