package brokersim

import (
	"errors"
	"fmt"
	"time"

	"github.com/brokersim/brokersim/internal/vfs"
)

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
