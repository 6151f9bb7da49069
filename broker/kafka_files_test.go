package broker

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/partition"
)

// kafkaFiles holds a log directory that Apache Kafka stopped cleanly, and one whose
// Kafka was killed.
const kafkaFiles = "../partition/testdata/kafka-4.1"

// What Kafka keeps beside its logs is read as Kafka meant it.
func TestKafkasFilesBesideTheLogs(t *testing.T) {
	for _, stopped := range []string{"clean", "killed"} {
		dir := filepath.Join(kafkaFiles, stopped)
		read := func(name string) []byte {
			text, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			return text
		}
		checkpoints := map[string]offsetCheckpoint{}
		for _, name := range []string{highWatermarksFile, logStartsFile, "recovery-point-offset-checkpoint", "cleaner-offset-checkpoint"} {
			c, err := parseOffsetCheckpoint(read(name))
			require.NoError(t, err, name)
			checkpoints[name] = c
		}
		require.Equal(t, offsetCheckpoint{{"cut", 0}: 70}, checkpoints[logStartsFile])
		require.Len(t, checkpoints["cleaner-offset-checkpoint"], 2)

		m, err := parseMetaProperties(read(metaPropertiesFile))
		require.NoError(t, err)
		require.NoError(t, m.check("4LxHcJ9zQ9yfQ1vAqQzWSA", 1))

		disk, err := vfs.NewOS(dir)
		require.NoError(t, err)
		logs := 0
		names, err := os.ReadDir(dir)
		require.NoError(t, err)
		for _, d := range names {
			tp, ok := parseLogDir(d.Name())
			if !d.IsDir() || !ok {
				continue
			}
			logs++
			_, ok, err := partition.ReadTopicID(disk, d.Name())
			require.NoError(t, err)
			require.True(t, ok, d.Name())
			for _, name := range []string{highWatermarksFile, "recovery-point-offset-checkpoint"} {
				require.Contains(t, checkpoints[name], tp, "%s: %s", stopped, name)
			}
		}
		require.Equal(t, 12, logs)
	}
}

// Kafka's clean shutdown file names no log ends, so it proves nothing here.
func TestKafkasCleanShutdownIsNoProof(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(kafkaFiles, "clean", cleanShutdownFile))
	require.NoError(t, err)
	_, err = parseCleanShutdown(text)
	require.Error(t, err)
	require.NoFileExists(t, filepath.Join(kafkaFiles, "killed", cleanShutdownFile))
}
