package broker

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
)

// openDisk makes the disk ready for this start of the broker: it sees to it that
// the disk is this broker's, recovers every log and decides what the restart
// means. What it leaves on the disk says the same again should the broker die
// before it registers.
func (b *Broker) openDisk() (metaProperties, verdict, error) {
	identity, err := b.identify()
	if err != nil {
		return identity, verdict{}, err
	}
	last := readHint(b, lastRunFile, parseLastRun)
	stopped := readHint(b, cleanShutdownFile, parseCleanShutdown)
	if marks := readHint(b, highWatermarksFile, parseOffsetCheckpoint); marks != nil {
		b.replicas.watermarks, b.replicas.marks.written = *marks, maps.Clone(*marks)
	}
	starts := readHint(b, logStartsFile, parseOffsetCheckpoint)
	if starts != nil {
		b.replicas.starts.written = *starts
	}
	logs, err := b.replicas.recoverLogs()
	if err != nil {
		return identity, verdict{}, err
	}
	if err := b.replicas.keepFound(starts == nil); err != nil {
		return identity, verdict{}, err
	}
	if err := b.replicas.restoreCleaned(readHint(b, cleanedFile, parseOffsetCheckpoint)); err != nil {
		return identity, verdict{}, err
	}
	v := judge(last, stopped, b.cfg.FS.Session(), logs)
	if starts == nil && v.clean { // it is written at the first start, and each time before it counts
		v.clean, v.why = false, "where its logs start is not known"
	}
	if v.epoch >= 0 {
		session := "" // proves nothing
		if v.clean {
			session = b.cfg.FS.Session()
		}
		err = b.writeLastRun(lastRun{v.epoch, session})
	}
	if err == nil {
		err = b.remove(cleanShutdownFile)
	}
	return identity, v, err
}

// identify reads meta.properties, or writes it on a new disk.
func (b *Broker) identify() (metaProperties, error) {
	text, err := vfs.ReadFile(b.cfg.FS, metaPropertiesFile)
	if errors.Is(err, fs.ErrNotExist) {
		m := metaProperties{b.cfg.ClusterID, b.cfg.ID, newUUID()}
		return m, vfs.WriteFileSynced(b.cfg.FS, metaPropertiesFile, m.encode())
	} else if err != nil {
		return metaProperties{}, err
	}
	m, err := parseMetaProperties(text)
	if err != nil {
		return m, fmt.Errorf("%s: %w", metaPropertiesFile, err)
	}
	return m, m.check(b.cfg.ClusterID, b.cfg.ID)
}

// readHint reads a file that the broker can do without; nil if it is not there or
// makes no sense.
func readHint[T any](b *Broker, name string, parse func([]byte) (T, error)) *T {
	text, err := vfs.ReadFile(b.cfg.FS, name)
	if err == nil {
		var v T
		if v, err = parse(text); err == nil {
			return &v
		}
	}
	if !errors.Is(err, fs.ErrNotExist) {
		b.cfg.Logger.Warn("ignoring a file", "file", name, "error", err)
	}
	return nil
}

// rememberEpoch makes the disk remember that this broker was registered under epoch.
func (b *Broker) rememberEpoch(epoch int64) error {
	return b.writeLastRun(lastRun{epoch, b.cfg.FS.Session()})
}

func (b *Broker) writeLastRun(r lastRun) error {
	if r.epoch < 0 {
		return nil
	}
	if err := vfs.WriteFileSynced(b.cfg.FS, lastRunFile, r.encode()); err != nil {
		return fmt.Errorf("writing %s: %w", lastRunFile, err)
	}
	return nil
}

// distrust notes, as far as the disk still lets it, that the disk broke in a way
// that may have cost what was written. After a sync that failed, the unsynced bytes
// may be gone although the session is the same; what is damaged is gone. If the disk
// has no room for the note, a missing epoch says the same.
func (b *Broker) distrust(err error) {
	_, damaged := errors.AsType[*partition.CorruptError](err)
	if e, ok := errors.AsType[*fs.PathError](err); !damaged && (!ok || e.Op != "sync") {
		return
	}
	err = b.writeLastRun(lastRun{epoch: max(b.epoch.Load(), b.session.before)})
	if err != nil {
		err = b.remove(lastRunFile)
	}
	if err != nil {
		b.cfg.Logger.Warn("the disk does not know that it is not to be trusted", "error", err)
	}
}

// remove removes a file for good, if it is there.
func (b *Broker) remove(name string) error {
	if err := b.cfg.FS.Remove(name); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("removing %s: %w", name, err)
	}
	return b.cfg.FS.SyncDir(".")
}

// leaveDisk makes everything durable and writes that it is.
func (b *Broker) leaveDisk(epoch int64) error {
	ends, err := b.replicas.leaveLogs()
	if err != nil {
		return err
	}
	if err := b.replicas.writeMarks(); err != nil {
		return err
	}
	if err := b.replicas.Keep(); err != nil {
		return err
	}
	if err := b.points.replace(b.replicas.recoveryPoints()); err != nil {
		return err
	}
	if epoch < 0 {
		return nil // the cluster counts on nothing here
	}
	stopped := cleanShutdown{BrokerEpoch: epoch, Logs: ends}
	if err := vfs.WriteFileSynced(b.cfg.FS, cleanShutdownFile, stopped.encode()); err != nil {
		return fmt.Errorf("writing %s: %w", cleanShutdownFile, err)
	}
	return nil
}

// newUUID draws an id that no other process or disk has.
func newUUID() metadata.UUID {
	return metadata.NewUUID(rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())))
}
