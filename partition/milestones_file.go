package partition

import "github.com/brokersim/brokersim/internal/vfs"

// milestoneSuffix names the file with the milestones of a segment.
const milestoneSuffix = ".milestones"

// create makes the file of an empty segment.
func (m *milestones) create(disk vfs.FS, name string) error {
	if err := m.entries.create(disk, name); err != nil {
		return err
	}
	m.vouches = true
	return m.flush()
}

// open takes from the file, if it is there, what is good of it. The batches are so
// many bytes. The rest of the file is of no use: it is torn or damaged.
func (m *milestones) open(disk vfs.FS, name string, size int64) error {
	length, err := m.entries.open(disk, name)
	if err != nil || m.file == nil {
		return err
	}
	b := make([]byte, min(length, (size/HeaderSize+2)*milestoneEntrySize))
	if n, err := m.file.ReadAt(b, 0); n < len(b) {
		return err
	}
	var list []milestone
	for ; len(b) >= milestoneEntrySize; b = b[milestoneEntrySize:] {
		e := milestoneFormat.decode(b)
		sound := string(milestoneFormat.encode(nil, e)) == string(b[:milestoneEntrySize])
		if !sound || len(list) == 0 && e != firstMilestone(m.base) || len(list) > 0 && e.position <= list[len(list)-1].position {
			break
		}
		list = append(list, e)
	}
	if len(list) == 0 {
		return nil // it vouches for nothing; see save
	}
	m.vouches = true
	m.list.Store(&list)
	m.n.Store(int64(len(list)))
	return m.trim(length, &milestoneFormat)
}

// flush brings the file up to date, unless there is none that vouches for anything.
func (m *milestones) flush() error {
	if !m.vouches {
		return nil
	}
	return m.entries.flush(&milestoneFormat)
}

// save makes the file vouch, durably, for all that there is of the segment: a file that
// vouches for nothing is replaced at once, since half of one would say that what it does
// not vouch for is wrong. The end of the segment is a milestone.
func (m *milestones) save(disk vfs.FS, name string) error {
	m.ahead.Store(false)
	if m.vouches {
		if err := m.flush(); err != nil {
			return err
		}
		return m.file.Sync()
	}
	var b []byte
	for _, e := range m.load() {
		b = milestoneFormat.encode(b, e)
	}
	if err := vfs.WriteFileSynced(disk, name, b); err != nil {
		return err
	}
	f, err := disk.Open(name)
	if err != nil {
		return err
	}
	if m.file != nil {
		_ = m.file.Close()
	}
	m.file, m.flushed, m.vouches = f, int64(len(b)/milestoneEntrySize), true
	return nil
}

// sync makes what flush has written durable, if the batches must not be so before it.
func (m *milestones) sync() error {
	if !m.ahead.Swap(false) {
		return nil
	}
	return m.file.Sync()
}
