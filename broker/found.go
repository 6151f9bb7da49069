package broker

import (
	"fmt"
	"slices"
	"strings"

	"github.com/brokersim/brokersim/event"
	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/partition"
)

// A foundLog is a log that was on the disk when the broker started.
type foundLog struct {
	topic metadata.UUID // the zero id if the directory does not say
	log   *partition.Log
}

// recoverLogs opens every log on the disk and says what it found in each. It
// returns early with the first error of the disk itself.
func (t *replicaTable) recoverLogs() (map[string]recovered, error) {
	names, err := t.cfg.FS.List(".")
	if err != nil {
		return nil, fmt.Errorf("listing the logs: %w", err)
	}
	var dirs []string
	for _, name := range names {
		dir, isDir := strings.CutSuffix(name, "/")
		if _, isLog := parseLogDir(dir); isDir && isLog {
			dirs = append(dirs, dir)
		}
	}
	opened, err := t.openLogs(dirs)
	if err != nil {
		return nil, err
	}
	for dir, o := range opened { // so that they will be closed
		t.found[dir] = &foundLog{log: o.log}
	}
	results := map[string]recovered{}
	for _, dir := range dirs {
		tp, _ := parseLogDir(dir)
		result, err := t.recoverLog(dir, tp, opened[dir])
		if err != nil {
			return nil, fmt.Errorf("opening the log %s: %w", dir, err)
		}
		results[dir] = result
	}
	for tp, committed := range t.watermarks {
		if _, there := results[tp.String()]; !there {
			results[tp.String()] = recovered{committed: committed}
		}
	}
	return results, nil
}

func (t *replicaTable) recoverLog(dir string, tp topicPartition, opened openedLog) (recovered, error) {
	id, known, err := partition.ReadTopicID(t.cfg.FS, dir)
	if err != nil {
		return recovered{}, err
	}
	log, recovery := opened.log, opened.recovery
	t.found[dir] = &foundLog{topic: id, log: log}
	if err := t.starts.restore(tp, log); err != nil {
		return recovered{}, err
	}
	if err := t.examine(tp, t.found[dir], &recovery, known); err != nil {
		return recovered{}, err
	}
	for _, c := range recovery.Corrupt {
		t.cfg.Logger.Warn("damage found in a log", "log", dir, "error", c)
		t.told(event.LogDamaged, tp, map[string]any{"error": c})
	}
	t.told(event.LogRecovered, tp, map[string]any{"leo": recovery.LogEndOffset, "torn": recovery.TornBytes})
	return recovered{end: recovery.LogEndOffset, corrupt: len(recovery.Corrupt) > 0, garbled: recovery.Garbled, committed: t.watermarks[tp]}, nil
}

// examine looks for damage that only the files around a log show. A log that lacks its
// first records is emptied: it fetches everything again.
func (t *replicaTable) examine(tp topicPartition, found *foundLog, r *partition.Recovery, named bool) error {
	damage := func(file, why string) {
		r.Corrupt = append(r.Corrupt, &partition.CorruptError{File: file, Why: why})
	}
	if start := r.LogStartOffset - r.Missing; r.Missing > 0 && t.starts.written[tp] <= start { // both who know say so
		if err := found.log.Reset(start); err != nil {
			return err
		}
		r.LogEndOffset = start
		damage(tp.String(), fmt.Sprintf("its first %d records are missing", r.Missing))
	}
	if !named && r.LogEndOffset > 0 {
		damage(tp.String()+"/"+partition.TopicFile, "it does not say which topic's the log is")
	}
	return nil
}

// told emits what was found in a log.
func (t *replicaTable) told(kind event.Kind, tp topicPartition, data map[string]any) {
	t.cfg.Events.Emit(event.Event{
		Kind: kind, Node: t.node, Topic: tp.topic, Part: tp.partition,
		Data: data, Because: []event.Key{event.ProcessKey(t.node)},
	})
}

// missing refuses to begin anew where this broker is counted on: others take it to be in
// sync, or as good as that, or nobody else may lead, and it remembers committed records,
// yet the log that it has found under that name does not say that it is this topic's.
// It would be removed, and all that the others have with it.
func (t *replicaTable) missing(name topicPartition, topic metadata.UUID, state metadata.Partition, committed int64) error {
	found := t.found[name.String()]
	self := t.cfg.ID
	counted := slices.Contains(state.ISR, self) || slices.Contains(state.ELR, self) || state.LastKnownLeader == self
	if found == nil || found.topic == topic || committed == 0 || !counted {
		return nil
	}
	why := fmt.Sprintf("it names the topic %s instead of %s", found.topic, topic)
	if found.topic.IsZero() {
		why = fmt.Sprintf("it does not name the topic %s", topic)
	}
	return &partition.CorruptError{File: name.String() + "/" + partition.TopicFile, Why: why}
}

// claim takes a found log for the topic of that id. A directory of the same name
// that belongs to another topic is stale: its topic was deleted while the broker
// was away, and its records are not this topic's.
func (t *replicaTable) claim(dir string, topic metadata.UUID) *foundLog {
	found := t.found[dir]
	if found == nil {
		return nil
	}
	delete(t.found, dir)
	if found.topic == topic {
		return found
	}
	t.cfg.Logger.Info("removing the log of a deleted topic", "log", dir, "topic-id", found.topic)
	t.removals.add(dir, found.log)
	return nil
}

// discardUnclaimed removes the found logs that the cluster no longer wants here.
func (t *replicaTable) discardUnclaimed() {
	for dir, found := range t.found {
		t.cfg.Logger.Info("removing a log that is not assigned to this broker", "log", dir)
		t.removals.add(dir, found.log)
	}
	clear(t.found)
}
