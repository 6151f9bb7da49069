package partition

import (
	"fmt"
	"path"
	"strings"

	"github.com/brokersim/brokersim/internal/vfs"
	"github.com/brokersim/brokersim/metadata"
)

// TopicFile says which topic a log belongs to (KIP-516), in Kafka's format: a
// topic that was deleted and made again has the same name and another id.
const TopicFile = "partition.metadata"

// ReadTopicID returns the id of the topic whose log is in dir; ok is false if that
// is not written there.
func ReadTopicID(disk vfs.FS, dir string) (id metadata.UUID, ok bool, err error) {
	b, err := readFile(disk, path.Join(dir, TopicFile))
	if err != nil || b == nil {
		return id, false, err
	}
	lines := strings.Split(string(b), "\n")
	if len(lines) < 2 || lines[0] != "version: 0" {
		return id, false, nil
	}
	text, ok := strings.CutPrefix(lines[1], "topic_id: ")
	if !ok {
		return id, false, nil
	}
	id, err = metadata.ParseUUID(text)
	return id, err == nil, nil
}

// checkTopicID writes the topic's id beside a log that has none, and refuses a log
// that is another topic's.
func (l *Log) checkTopicID() error {
	want := l.cfg.Load().TopicID
	if want.IsZero() {
		return nil
	}
	id, ok, err := ReadTopicID(l.fs, l.dir)
	switch {
	case err != nil:
		return l.storage("read "+TopicFile, err)
	case ok && id != want:
		return l.refuse(metadata.ErrInconsistentTopicID, "belongs to topic %v, not to %v", id, want)
	case ok:
		return nil
	}
	content := fmt.Appendf(nil, "version: 0\ntopic_id: %v\n", want)
	if err := vfs.WriteFileSynced(l.fs, path.Join(l.dir, TopicFile), content); err != nil {
		return l.storage("write "+TopicFile, err)
	}
	return nil
}
