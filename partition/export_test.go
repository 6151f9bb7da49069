package partition

import "fmt"

// ProducerStates is all that a log knows of its idempotent producers, for tests to
// compare.
func ProducerStates(l *Log) map[int64]string {
	defer l.hold()()
	all := map[int64]string{}
	for id, p := range l.producers.byID {
		all[id] = fmt.Sprint(p.epoch, p.last)
		for i := max(0, p.n-remembered); i < p.n; i++ {
			all[id] += fmt.Sprint(" ", p.ring[i%remembered])
		}
	}
	return all
}

// CheckSnapshot reports whether b is a snapshot at an offset, and whether it proves
// something about the log.
func CheckSnapshot(b []byte, at int64) (ok, proof bool) {
	s, ok := decodeSnapshot(b, at)
	return ok, s.proof
}

// RecodeSnapshot decodes and encodes a snapshot, without our part if kafka says so.
func RecodeSnapshot(b []byte, at int64, kafka bool) []byte {
	s, ok := decodeSnapshot(b, at)
	if !ok {
		return nil
	}
	s.proof = s.proof && !kafka
	return encodeSnapshot(s)
}
