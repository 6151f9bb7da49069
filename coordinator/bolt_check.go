//go:build !wasip1

package coordinator

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"runtime/debug"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

// bbolt has a checksum on its two meta pages alone. A flipped bit elsewhere makes it
// panic, now or some day and on a goroutine of its own, or passes for data. So the file is
// walked before it is opened, where a panic can be caught, and each entry carries a
// checksum of its own. What stays unprotected are the few bytes of term and vote.

// walkBolt looks at every page in use of a database file, if there is one.
func walkBolt(path string) (err error) {
	if info, e := os.Stat(path); e != nil || info.Size() == 0 {
		return nil
	}
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true)) // a page may point behind the file
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the database is damaged: %v", p)
		}
	}()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{ReadOnly: true, Timeout: openPatience})
	if err != nil {
		return err
	}
	defer db.Close()
	return db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
			var before []byte
			return b.ForEach(func(k, _ []byte) error {
				if before != nil && bytes.Compare(before, k) >= 0 {
					return errors.New("the database is damaged: its keys are out of order")
				}
				before = k
				return nil
			})
		})
	})
}

// summed returns the entries with their checksums.
func summed(logs []*raft.Log) []*raft.Log {
	with := make([]*raft.Log, len(logs))
	for i, l := range logs {
		sealed := *l
		sealed.Extensions = binary.BigEndian.AppendUint32(nil, sum(l))
		with[i] = &sealed
	}
	return with
}

func sum(l *raft.Log) uint32 {
	head := binary.BigEndian.AppendUint64(nil, l.Index)
	head = binary.BigEndian.AppendUint64(head, l.Term)
	return crc32.Update(crc32.Checksum(append(head, byte(l.Type)), castagnoli), castagnoli, l.Data)
}

// checkBolt reads every entry. Entries without a checksum are an older version's.
func checkBolt(db *raftboltdb.BoltStore) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the database is damaged: %v", p)
		}
	}()
	first, err := db.FirstIndex()
	if err != nil {
		return err
	}
	last, err := db.LastIndex()
	for i := first; err == nil && first > 0 && i <= last; i++ {
		var l raft.Log
		if err = db.GetLog(i, &l); err != nil {
			return fmt.Errorf("the database is damaged at entry %d: %w", i, err)
		}
		if s := l.Extensions; l.Index != i || len(s) == 4 && binary.BigEndian.Uint32(s) != sum(&l) {
			return fmt.Errorf("the database is damaged at entry %d: its checksum is wrong", i)
		}
	}
	for _, key := range []string{"CurrentTerm", "LastVoteTerm", "LastVoteCand"} {
		_, _ = db.Get([]byte(key)) // it may panic
	}
	return err
}
