package brokersim

import (
	"fmt"
	"strings"

	"github.com/brokersim/brokersim/internal/vfs"
)

// Rot flips one bit of what the broker's disk has of a partition's records, whether
// the broker runs or not, and says where. place, from 0 to 1, chooses among all
// bytes of the partition's log files, oldest first. There is nothing to heal: the
// broker notices when it reads there, and gets the records from the others.
func (b *Broker) Rot(topic string, partition int32, place float64) (where string, err error) {
	dir := fmt.Sprintf("%s-%d", topic, partition)
	names, err := b.disk.List(dir)
	if err != nil {
		return "", fmt.Errorf("%s: %w", b.words(), err)
	}
	var logs []string
	var ends []int64
	total := int64(0)
	for _, name := range names {
		if !strings.HasSuffix(name, ".log") {
			continue
		}
		size, err := sizeOf(b.disk, dir+"/"+name)
		if err != nil {
			return "", fmt.Errorf("%s: %w", b.words(), err)
		}
		total += size
		logs, ends = append(logs, dir+"/"+name), append(ends, total)
	}
	at := min(int64(place*float64(total)), total-1)
	for i, end := range ends {
		if at >= 0 && at < end {
			size := end
			if i > 0 {
				size, at = end-ends[i-1], at-ends[i-1]
			}
			return fmt.Sprintf("byte %d of %d of %s", at, size, logs[i]), flipBit(b.disk, logs[i], at)
		}
	}
	return "", fmt.Errorf("%s has no record of %s", b.words(), dir)
}

func sizeOf(disk vfs.FS, name string) (int64, error) {
	f, err := disk.Open(name)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return f.Size()
}

func flipBit(disk vfs.FS, name string, at int64) error {
	f, err := disk.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	one := make([]byte, 1)
	if _, err := f.ReadAt(one, at); err != nil {
		return err
	}
	one[0] ^= 0x10
	if _, err := f.WriteAt(one, at); err != nil {
		return err
	}
	return f.Sync()
}
