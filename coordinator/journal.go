package coordinator

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"

	"github.com/brokersim/brokersim/internal/vfs"
)

// A journal is one file of numbered batches, each written and synced before the
// next one is begun:
//
//	┌───────┬────────┬───────┬──────────┬─────────┐
//	│ magic │ length │ crc   │ sequence │ payload │
//	│ 4     │ 4      │ 4     │ 8        │ length  │
//	└───────┴────────┴───────┴──────────┴─────────┘
//
// Big-endian; the CRC-32C covers the sequence and the payload. Because of the
// order of writing, a broken batch with nothing whole behind it is the torn tail of
// a crash and was promised to nobody: it is cut off. A broken batch with a whole one
// behind it was synced once and has rotted: the journal refuses to open.
//
// A journal is not safe for concurrent use.
type journal struct {
	fs   vfs.FS
	file vfs.File
	end  int64  // where the next batch goes
	seq  uint64 // of the next batch
	buf  []byte
}

const (
	journalName   = "raft.log"
	journalMagic  = "BSRJ"
	journalHeader = 20
	// journalMaxBatch bounds a batch, so that a rotten length asks for no absurd buffer.
	journalMaxBatch = 256 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// openJournal opens or creates the journal and hands every whole batch to replay, in order.
func openJournal(disk vfs.FS, replay func(payload []byte) error) (*journal, error) {
	if err := disk.Remove(journalName + ".tmp"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := disk.Open(journalName)
	if errors.Is(err, fs.ErrNotExist) {
		j := &journal{fs: disk}
		return j, j.rewrite(nil)
	}
	if err != nil {
		return nil, err
	}
	j := &journal{fs: disk, file: f}
	if err := j.recover(replay); err != nil {
		f.Close()
		return nil, err
	}
	return j, nil
}

func (j *journal) recover(replay func([]byte) error) error {
	all, err := readAll(j.file)
	if err != nil {
		return err
	}
	for len(all) > int(j.end) {
		payload, ok := parseBatch(all[j.end:], j.seq)
		if !ok {
			if at := findBatch(all[j.end+1:], j.seq); at >= 0 {
				return fmt.Errorf("%s is corrupt at byte %d: the disk lost what it had kept", journalName, j.end)
			}
			// The torn tail must be gone before anything is written over it: else the
			// rest of it could look like a batch some day.
			if err := j.file.Truncate(j.end); err != nil {
				return err
			}
			return j.file.Sync()
		}
		if err := replay(payload); err != nil {
			return fmt.Errorf("%s at byte %d: %w", journalName, j.end, err)
		}
		j.end += journalHeader + int64(len(payload))
		j.seq++
	}
	return nil
}

// parseBatch reads the batch at the start of b.
func parseBatch(b []byte, seq uint64) (payload []byte, ok bool) {
	if len(b) < journalHeader || string(b[:4]) != journalMagic {
		return nil, false
	}
	n := binary.BigEndian.Uint32(b[4:])
	if n > journalMaxBatch || int(n) > len(b)-journalHeader || binary.BigEndian.Uint64(b[12:]) != seq {
		return nil, false
	}
	sum := crc32.Checksum(b[12:journalHeader+int(n)], castagnoli)
	return b[journalHeader : journalHeader+int(n)], sum == binary.BigEndian.Uint32(b[8:])
}

// findBatch looks for a whole batch later than after and returns where, or -1.
func findBatch(b []byte, after uint64) int {
	for at := 0; ; at++ {
		i := bytes.Index(b[at:], []byte(journalMagic))
		if i < 0 {
			return -1
		}
		at += i
		if len(b)-at < journalHeader {
			return -1
		}
		if seq := binary.BigEndian.Uint64(b[at+12:]); seq > after {
			if _, ok := parseBatch(b[at:], seq); ok {
				return at
			}
		}
	}
}

// append writes one batch and returns once it is durable.
func (j *journal) append(payload []byte) error {
	j.buf = appendBatch(j.buf[:0], j.seq, payload)
	if _, err := j.file.WriteAt(j.buf, j.end); err != nil {
		return err
	}
	if err := j.file.Sync(); err != nil {
		return err
	}
	j.end += int64(len(j.buf))
	j.seq++
	if cap(j.buf) > 1<<20 {
		j.buf = nil
	}
	return nil
}

func appendBatch(dst []byte, seq uint64, payload []byte) []byte {
	start := len(dst)
	dst = append(dst, journalMagic...)
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(payload)))
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint64(dst, seq)
	dst = append(dst, payload...)
	sum := crc32.Checksum(dst[start+12:], castagnoli)
	binary.BigEndian.PutUint32(dst[start+8:], sum)
	return dst
}

// rewrite replaces everything by one batch, or by nothing if payload is empty: the
// file is whole under its name or the old one is.
func (j *journal) rewrite(payload []byte) error {
	var content []byte
	seq := uint64(0)
	if len(payload) > 0 {
		content = appendBatch(nil, 0, payload)
		seq = 1
	}
	f, err := writeDurably(j.fs, journalName, content)
	if err != nil {
		return err
	}
	if j.file != nil {
		j.file.Close()
	}
	j.file, j.end, j.seq = f, int64(len(content)), seq
	return nil
}

func (j *journal) close() error { return j.file.Close() }

// writeDurably makes name hold content, all of it or as before, and returns it open.
func writeDurably(disk vfs.FS, name string, content []byte) (vfs.File, error) {
	tmp := name + ".tmp"
	f, err := disk.Create(tmp)
	if err != nil {
		return nil, err
	}
	_, err = f.WriteAt(content, 0)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = disk.Rename(tmp, name)
	}
	if err == nil {
		err = disk.SyncDir(".")
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// readAll reads a whole file.
func readAll(f vfs.File) ([]byte, error) {
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); n < len(b) {
		return nil, err
	}
	return b, nil
}
