package broker

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/brokersim/brokersim/metadata"
)

// The files at the top of a broker's disk. The first two are Kafka's.
const (
	metaPropertiesFile = "meta.properties"      // whose disk this is
	cleanShutdownFile  = ".kafka_cleanshutdown" // there only while the broker is down after a clean stop
	lastRunFile        = "broker-epoch"         // what the last registration was, and in which disk session
)

// metaProperties says whose disk it is. It is written once, at a disk's first start.
type metaProperties struct {
	clusterID string
	nodeID    int32
	directory metadata.UUID
}

func (m metaProperties) encode() []byte {
	return fmt.Appendf(nil, "#\ncluster.id=%s\ndirectory.id=%s\nnode.id=%d\nversion=1\n", m.clusterID, m.directory, m.nodeID)
}

func parseMetaProperties(text []byte) (metaProperties, error) {
	var m metaProperties
	p := parseProperties(text)
	if v := p["version"]; v != "1" {
		return m, fmt.Errorf("version %q is not known", v)
	}
	id, err := strconv.ParseInt(p["node.id"], 10, 32)
	if err != nil {
		return m, fmt.Errorf("node.id: %w", err)
	}
	if m.directory, err = metadata.ParseUUID(p["directory.id"]); err != nil {
		return m, fmt.Errorf("directory.id: %w", err)
	}
	m.nodeID, m.clusterID = int32(id), p["cluster.id"]
	return m, nil
}

// check refuses a disk of another cluster or another broker.
func (m metaProperties) check(cluster string, id int32) error {
	switch {
	case m.clusterID != cluster:
		return fmt.Errorf("%w: the disk belongs to cluster %s, the broker to %s; wipe the disk or use another one",
			metadata.ErrInconsistentClusterID, m.clusterID, cluster)
	case m.nodeID != id:
		return fmt.Errorf("the disk belongs to broker %d, not to broker %d; wipe it or use another one", m.nodeID, id)
	}
	return nil
}

// lastRun is written and synced after each registration and before the broker
// may be unfenced: whatever the cluster counts on this broker for under an epoch,
// the disk remembers that epoch.
type lastRun struct {
	epoch   int64  // broker epoch
	session string // the disk's, vfs.FS.Session; "" if it is not known
}

func (r lastRun) encode() []byte {
	return fmt.Appendf(nil, "broker.epoch=%d\ndisk.session=%s\n", r.epoch, r.session)
}

func parseLastRun(text []byte) (lastRun, error) {
	p := parseProperties(text)
	epoch, err := strconv.ParseInt(p["broker.epoch"], 10, 64)
	if err != nil || epoch < 0 {
		return lastRun{}, fmt.Errorf("broker.epoch %q is no epoch", p["broker.epoch"])
	}
	return lastRun{epoch, p["disk.session"]}, nil
}

// cleanShutdown is Kafka's clean-shutdown file with one more field, Logs: the
// end of each log by its directory, true once every log was synced.
type cleanShutdown struct {
	Version     int              `json:"version"`
	BrokerEpoch int64            `json:"brokerEpoch"`
	Logs        map[string]int64 `json:"logs"`
}

func (c cleanShutdown) encode() []byte {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err) // integers and strings
	}
	return append(b, '\n')
}

func parseCleanShutdown(text []byte) (cleanShutdown, error) {
	var c cleanShutdown
	if err := json.Unmarshal(text, &c); err != nil {
		return c, err
	}
	if c.Version != 0 || c.BrokerEpoch < 0 || c.Logs == nil {
		return c, fmt.Errorf("version %d, broker epoch %d: not a clean shutdown of this kind", c.Version, c.BrokerEpoch)
	}
	return c, nil
}

// recovered is what opening one log found.
type recovered struct {
	end       int64 // log end offset
	corrupt   bool  // more was wrong than a torn tail
	garbled   bool  // its tail was no unfinished write
	committed int64 // high watermark, as it was checkpointed
}

// lacks says what the log lacks of what it once had; "" if nothing shows. A process that
// dies leaves its last write short at worst, never whole and wrong, and what was
// committed lies below the log's end.
func (r recovered) lacks() string {
	switch {
	case r.corrupt || r.garbled:
		return "is damaged"
	case r.end < r.committed:
		return fmt.Sprintf("ends at %d, though it was committed up to %d", r.end, r.committed)
	}
	return ""
}

// A verdict says what a restart means (KIP-966).
type verdict struct {
	clean bool
	epoch int64  // the last one that the disk remembers, clean or not; -1 for none
	why   string // for the broker's own log
}

// previousEpoch is what to register with.
func (v verdict) previousEpoch() int64 {
	if !v.clean {
		return -1
	}
	return v.epoch
}

// judge decides whether the disk still holds all that the broker ever told
// anyone under its last epoch. A clean-shutdown file proves it if every log ends
// where the file says; an unchanged disk session proves it by itself, because
// then nothing written was lost, and what a dying write left half done was never
// told to anybody. A log that lacks something disproves either.
func judge(last *lastRun, stopped *cleanShutdown, session string, logs map[string]recovered) verdict {
	v := verdict{epoch: -1}
	if last != nil {
		v.epoch = last.epoch
	}
	if stopped != nil && stopped.BrokerEpoch < v.epoch {
		stopped = nil // of an earlier run
	}
	if stopped != nil {
		v.epoch = stopped.BrokerEpoch
	}
	v.clean, v.why = proof(last, stopped, session, logs)
	return v
}

func proof(last *lastRun, stopped *cleanShutdown, session string, logs map[string]recovered) (clean bool, why string) {
	for _, dir := range slices.Sorted(maps.Keys(logs)) {
		if lacks := logs[dir].lacks(); lacks != "" {
			return false, "the log " + dir + " " + lacks
		}
	}
	if stopped != nil {
		if dir, ok := stopped.matches(logs); !ok {
			return false, "the log " + dir + " does not end where it was stopped"
		}
		return true, "it was stopped cleanly"
	}
	switch {
	case last == nil:
		return false, "it is the disk's first start"
	case session == "":
		return false, "whether the disk lost anything is not known"
	case last.session != session:
		return false, "the disk may have lost what was not synced"
	}
	return true, "the disk has lost nothing since"
}

// matches reports whether every listed log is there and ends as listed; if not,
// it names one that differs.
func (c *cleanShutdown) matches(logs map[string]recovered) (string, bool) {
	for _, dir := range slices.Sorted(maps.Keys(c.Logs)) {
		if l, ok := logs[dir]; !ok || l.end != c.Logs[dir] {
			return dir, false
		}
	}
	return "", true
}

// parseProperties reads the lines key=value of a Java properties file, without its escapes.
func parseProperties(text []byte) map[string]string {
	p := map[string]string{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if key, value, ok := strings.Cut(line, "="); ok && !strings.HasPrefix(line, "#") {
			p[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	return p
}
