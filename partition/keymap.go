package partition

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
)

// A keyMap says for each key of a stretch of a log which record with it is the last.
// It holds 128 bits of a cryptographic hash in a key's place, as Kafka's does: keys
// may be of any size, and nobody finds two that are taken for one. It grows with
// what is put in and never beyond its limit.
type keyMap struct {
	limit int // of slots
	slots []keySlot
	n     int
}

// A keySlot is empty while next is 0.
type keySlot struct {
	hash [2]uint64
	next int64 // the offset behind the record's, so that no record has 0
}

const (
	keySlotSize  = 24
	fewSlots     = 1 << 10
	fullEighths  = 6 // how full the table may be
	minimumSlots = 8
)

func newKeyMap(bytes int64) *keyMap {
	return &keyMap{limit: int(max(minimumSlots, bytes/keySlotSize))}
}

// put says that the record at offset has key; false if the map is full and the key
// is new. Offsets come in order.
func (m *keyMap) put(key []byte, offset int64) bool {
	if m.n >= len(m.slots)/8*fullEighths && len(m.slots) < m.limit {
		m.grow()
	}
	hash := hashKey(key)
	s := m.find(hash)
	if s.next == 0 {
		if m.n >= len(m.slots)/8*fullEighths {
			return false
		}
		s.hash = hash
		m.n++
	}
	s.next = offset + 1
	return true
}

// last returns the offset of the last record that was put in with key, -1 if there is none.
func (m *keyMap) last(key []byte) int64 {
	if m.n == 0 {
		return -1
	}
	return m.find(hashKey(key)).next - 1
}

// find returns the slot of a hash, or the empty one where it belongs. The table is
// never full, so there is one.
func (m *keyMap) find(hash [2]uint64) *keySlot {
	high, _ := bits.Mul64(hash[0], uint64(len(m.slots)))
	for i := int(high); ; {
		s := &m.slots[i]
		if s.next == 0 || s.hash == hash {
			return s
		}
		if i++; i == len(m.slots) {
			i = 0
		}
	}
}

func (m *keyMap) grow() {
	old := m.slots
	m.slots = make([]keySlot, min(m.limit, max(fewSlots, 2*len(old))))
	for _, s := range old {
		if s.next != 0 {
			*m.find(s.hash) = s
		}
	}
}

// clear forgets everything. A large table is given back.
func (m *keyMap) clear() {
	m.n = 0
	if len(m.slots)*keySlotSize > keepBytes {
		m.slots = nil
	}
	clear(m.slots)
}

func hashKey(key []byte) [2]uint64 {
	sum := sha256.Sum256(key)
	return [2]uint64{binary.LittleEndian.Uint64(sum[:]), binary.LittleEndian.Uint64(sum[8:])}
}
