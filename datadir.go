package brokersim

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
)

// DataDir keeps the cluster in a directory, which is made if it is missing; without it
// all disks are memory and end with the cluster. New continues the cluster that it finds
// there: same cluster id, topics, records and offsets, whether that cluster was closed or
// its process was killed. Brokers and Coordinators must be as they were, and so must the
// broker configs default.replication.factor, num.partitions, min.insync.replicas and
// unclean.leader.election.enable; a Topic that exists must be as the option says.
//
//	dir/cluster.json     which cluster this is
//	dir/.lock            held while it runs
//	dir/broker-1/        a Kafka log directory: meta.properties, orders-0/00000000000000000000.log, ...
//	dir/coordinator-1/   raft.db and snapshots
//	dir/.broker-1/       what the simulated disk needs to lose power
//
// A directory that is in use, holds something else, was made by a newer version, or
// lacks a node or has that of another cluster, is left as it is, with an error that says
// so. (What Wipe took away is not missed.)
//
// Kill, PowerOff and Wipe do to these disks what they do to memory: a power loss cuts
// each file back to what was synced, and takes back names that were not. It is always the
// worst case, where memory draws one from the seed. What the last process has written
// counts as synced when New finds it, unless the machine was restarted in between: then
// every broker knows that it may have lost records. raft.db syncs by itself and loses
// nothing in a power loss; the faults of a Disk meet its transactions as a whole.
func DataDir(dir string) Option { return option(func(c *config) { c.dataDir = &dir }) }

// A dataDir is the directory that a cluster lives in, locked.
type dataDir struct {
	dir      string
	made     bool // by this process: New failed before the cluster began to use it
	lock     io.Closer
	identity identity
	disks    map[string]*vfs.Directory // by node
	wiped    []string                  // markers to remove once the nodes run
}

// An identity says which cluster a directory holds.
type identity struct {
	Version      int    `json:"version"`
	ClusterID    string `json:"cluster.id"`
	Brokers      int    `json:"brokers"`
	Coordinators int    `json:"coordinators"`
	// Configs are those that elections and new topics were decided by. Raft's log is replayed
	// with them, and must come to the same decisions.
	Configs map[string]string `json:"configs"`
	// Started is true once every node has run: from then on each one's directory must be there.
	Started bool `json:"started"`
}

const (
	dataVersion   = 1
	identityFile  = "cluster.json"
	lockFile      = ".lock"
	nodeFile      = "meta.properties" // in the directory of every node
	databaseFile  = "raft.db"
	wipedSuffix   = ".wiped"
	emptyDataDir  = "empty it or name another one with DataDir"
	restoreOrMove = "restore it, or name another directory with DataDir"
)

// openDataDir finds out whose directory it is and locks it. Unless the cluster may use
// it, nothing in it is touched.
func openDataDir(cfg config, configs *metadata.BrokerConfig) (*dataDir, error) {
	dir, err := filepath.Abs(*cfg.dataDir)
	if err != nil || *cfg.dataDir == "" {
		return nil, fmt.Errorf("DataDir(%q): name a directory", *cfg.dataDir)
	}
	d := &dataDir{dir: dir, disks: map[string]*vfs.Directory{}}
	if err := d.open(cfg, configs); err != nil {
		_ = d.close()
		return nil, fmt.Errorf("DataDir(%q): %w", *cfg.dataDir, err)
	}
	return d, nil
}

func (d *dataDir) open(cfg config, configs *metadata.BrokerConfig) (err error) {
	if _, err := os.Lstat(d.dir); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(d.dir, 0o755); err != nil {
			return err
		}
		d.made = true
	}
	if _, err := d.readIdentity(); err != nil { // a stranger's directory gets no lock file
		return err
	}
	if d.lock, err = vfs.Lock(d.path(lockFile)); err != nil {
		if errors.Is(err, vfs.ErrLocked) {
			return fmt.Errorf("%w by another cluster, of this process or another one: close that one, or name another directory", err)
		}
		return err
	}
	found, err := d.readIdentity() // it may have changed before it was locked
	if err != nil {
		return err
	}
	if found == nil {
		d.identity = identity{dataVersion, newClusterID(), cfg.brokers, cfg.coordinators, deciding(configs), false}
	} else {
		d.identity = *found
	}
	if err := d.check(cfg); err != nil {
		return err
	}
	if err := d.checkConfigs(deciding(configs)); err != nil {
		return err
	}
	for _, node := range d.nodes() {
		d.disks[node] = vfs.NewDirectory(d.path(node), d.path("."+node))
	}
	return nil
}

func newClusterID() string {
	return metadata.NewUUID(rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))).String()
}

func (d *dataDir) path(name string) string { return filepath.Join(d.dir, name) }

// nodes are the names of the cluster's nodes.
func (d *dataDir) nodes() (names []string) {
	for i := range d.identity.Brokers {
		names = append(names, event.BrokerNode(int32(i+1)))
	}
	for i := range d.identity.Coordinators {
		names = append(names, event.CoordinatorNode(int32(i+1)))
	}
	return names
}

// readIdentity returns what the directory says that it is, nil if it is empty.
func (d *dataDir) readIdentity() (*identity, error) {
	text, err := os.ReadFile(d.path(identityFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, d.mustBeEmpty()
	} else if err != nil {
		return nil, err
	}
	var id identity
	if err := json.Unmarshal(text, &id); err != nil {
		return nil, fmt.Errorf("%s is damaged (%w): %s", identityFile, err, restoreOrMove)
	}
	switch {
	case id.Version > dataVersion:
		return nil, fmt.Errorf("a newer brokersim made it, in format %d; this one knows formats up to %d: use the newer one, or name another directory", id.Version, dataVersion)
	case id.Version < 1 || id.ClusterID == "" || id.Brokers < 1 || id.Brokers > maxBrokers || !slices.Contains(quorumSizes, id.Coordinators):
		return nil, fmt.Errorf("%s is damaged: %s", identityFile, restoreOrMove)
	}
	return &id, nil
}

func (d *dataDir) mustBeEmpty() error {
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() != lockFile {
			return fmt.Errorf("it has no %s but holds other things, such as %s: %s", identityFile, e.Name(), emptyDataDir)
		}
	}
	return nil
}

// begin makes the directory the cluster's, before a node runs.
func (d *dataDir) begin() error {
	d.made = false
	if err := d.writeIdentity(); err != nil {
		return fmt.Errorf("DataDir: %w", err)
	}
	for _, disk := range d.disks {
		if err := disk.Mount(); err != nil {
			return fmt.Errorf("DataDir: %w", err)
		}
	}
	return nil
}

// begun says that every node has run.
func (d *dataDir) begun() error {
	var err error
	if !d.identity.Started {
		d.identity.Started = true
		err = d.writeIdentity()
	}
	for _, marker := range d.wiped {
		err = cmp.Or(err, os.Remove(marker))
	}
	d.wiped = nil
	if err != nil {
		return fmt.Errorf("DataDir: %w", err)
	}
	return nil
}

func (d *dataDir) writeIdentity() error {
	text, err := json.MarshalIndent(d.identity, "", "  ")
	if err != nil {
		return err
	}
	disk, err := vfs.NewOS(d.dir)
	if err != nil {
		return err
	}
	return vfs.WriteFileSynced(disk, identityFile, append(text, '\n'))
}

// close lets the directory go. One that was made for nothing is removed.
func (d *dataDir) close() error {
	if d.lock == nil {
		return nil
	}
	if d.made {
		_ = os.Remove(d.path(lockFile))
	}
	err := d.lock.Close()
	if d.made {
		_ = os.Remove(d.dir)
	}
	return err
}
