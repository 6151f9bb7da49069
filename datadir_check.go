package brokersim

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/brokersim/brokersim/metadata"
)

// check refuses a directory that is not this cluster's, or not all of it.
func (d *dataDir) check(cfg config) error {
	id := d.identity
	if id.Brokers != cfg.brokers {
		return fmt.Errorf("it holds a cluster of %d brokers, not %d: say Brokers(%d), or name another directory", id.Brokers, cfg.brokers, id.Brokers)
	}
	if id.Coordinators != cfg.coordinators {
		return fmt.Errorf("it holds a cluster of %d coordinator nodes, not %d: say Coordinators(%d), or name another directory",
			id.Coordinators, cfg.coordinators, id.Coordinators)
	}
	for _, node := range d.nodes() {
		if err := d.checkNode(node); err != nil {
			return fmt.Errorf("%s: %w", node, err)
		}
	}
	return nil
}

// deciding are the broker configs that the coordinator's decisions depend on.
func deciding(c *metadata.BrokerConfig) map[string]string {
	t := c.Topic(nil)
	return map[string]string{
		"default.replication.factor":     fmt.Sprint(c.DefaultReplicationFactor),
		"num.partitions":                 fmt.Sprint(c.NumPartitions),
		"min.insync.replicas":            fmt.Sprint(t.MinInsyncReplicas),
		"unclean.leader.election.enable": fmt.Sprint(t.UncleanLeaderElection),
	}
}

func (d *dataDir) checkConfigs(now map[string]string) error {
	for _, key := range slices.Sorted(maps.Keys(now)) {
		if was := d.identity.Configs[key]; was != now[key] {
			return fmt.Errorf("its cluster was made with %s=%s, not %s, and keeps it: say BrokerConfig(%q), and set the other value on topics",
				key, was, now[key], key+"="+was)
		}
	}
	return nil
}

// checkNode looks at the directory of one node.
func (d *dataDir) checkNode(node string) error {
	text, err := os.ReadFile(filepath.Join(d.path(node), nodeFile))
	marker := d.path("." + node + wipedSuffix)
	if _, wiped := os.Stat(marker); wiped == nil {
		d.wiped = append(d.wiped, marker)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && !d.identity.Started:
		return nil // its first start was not finished
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("its %s is missing, so part of the cluster was deleted: %s", nodeFile, restoreOrMove)
	case err != nil:
		return err
	}
	if v := property(text, "version"); v != "1" {
		return fmt.Errorf("its %s has version %q, and only 1 is known here: %s", nodeFile, v, restoreOrMove)
	}
	cluster, number := property(text, "cluster.id"), property(text, "node.id")
	if cluster != d.identity.ClusterID {
		return fmt.Errorf("it belongs to cluster %s, the directory to cluster %s: %s", cluster, d.identity.ClusterID, restoreOrMove)
	}
	role, id, _ := strings.Cut(node, "-")
	if number != id {
		return fmt.Errorf("it belongs to node %s: %s", number, restoreOrMove)
	}
	if info, err := os.Stat(filepath.Join(d.path(node), databaseFile)); role == "coordinator" && (err != nil || info.Size() == 0) {
		return fmt.Errorf("its %s is missing, so part of the cluster was deleted: %s", databaseFile, restoreOrMove)
	}
	return nil
}

// property is a value of a Java properties file.
func property(text []byte, key string) string {
	for line := range strings.Lines(string(text)) {
		if k, v, ok := strings.Cut(strings.TrimSpace(line), "="); ok && k == key {
			return v
		}
	}
	return ""
}
