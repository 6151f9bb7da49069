package simulation

// Forgotten is what somebody did to the records of a partition that forgets.
type Forgotten struct {
	Aged    bool  // any record may be gone by its age
	Wished  int64 // a deletion was asked for of everything below
	Granted int64 // ... and confirmed
}

// Ages notes that records of a partition go when they are old.
func (h *History) Ages(at Place) { h.forget(at, func(f *Forgotten) { f.Aged = true }) }

// Wished notes that the records below an offset may be deleted from now on.
func (h *History) Wished(at Place, below int64) {
	h.forget(at, func(f *Forgotten) { f.Wished = max(f.Wished, below) })
}

// Granted notes that the records below an offset are deleted.
func (h *History) Granted(at Place, below int64) {
	h.forget(at, func(f *Forgotten) { f.Granted = max(f.Granted, below) })
}

func (h *History) forget(at Place, note func(*Forgotten)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.forgotten == nil {
		h.forgotten = map[Place]Forgotten{}
	}
	f := h.forgotten[at]
	note(&f)
	h.forgotten[at] = f
}

// startsAreRight returns where the partitions began in the end, and checks that
// nobody deleted more than was wished or age took, nor less than was granted.
func (j *judge) startsAreRight(reads []Read) map[Place]int64 {
	type position struct {
		reader string
		place  Place
	}
	starts, begun := map[Place]int64{}, map[position]bool{}
	for _, r := range reads {
		f, forgets := j.forgotten[r.Place]
		at := position{r.Reader, r.Place}
		if !r.Final || !forgets || begun[at] {
			continue
		}
		begun[at] = true
		j.must(r.Offset >= f.Granted, "undeleted", "%v begins at %d, and everything below %d was deleted", r.Place, r.Offset, f.Granted)
		j.must(f.Aged || r.Offset <= f.Wished, "deleted", "%v begins at %d, and nobody wished more than what is below %d to go", r.Place, r.Offset, f.Wished)
		starts[r.Place] = max(starts[r.Place], r.Offset)
	}
	return starts
}

// newestIsThere checks of a compacted topic that the final readers found no older
// record of a key than the newest acknowledged one, and that one or a newer one
// unless it is deleted.
func (j *judge) newestIsThere(sends []*Send, reads []Read) {
	type slot struct {
		place Place
		key   string
	}
	type found struct {
		offset int64
		value  string
	}
	final, newest, deleted := map[slot]found{}, map[slot]*Send{}, map[slot]bool{}
	for _, r := range reads {
		if at := (slot{r.Place, r.Key}); r.Final && r.Key != "" && final[at].offset <= r.Offset {
			final[at] = found{r.Offset, r.Value}
		}
	}
	for _, s := range sends {
		at := slot{s.Place, s.Key}
		if s.Key == "" {
			continue
		}
		deleted[at] = deleted[at] || s.Tombstone && s.Offset < 0 // it may be there, behind everything
		if before := newest[at]; s.Acks == acksAll && s.Offset >= 0 && (before == nil || before.Offset < s.Offset) {
			newest[at] = s
		}
	}
	for _, s := range sends { // one that only its leader acknowledged may be there, too
		if n := newest[slot{s.Place, s.Key}]; s.Key != "" && n != nil && s.Tombstone && s.Offset >= n.Offset {
			deleted[slot{s.Place, s.Key}] = true
		}
	}
	for at, s := range newest {
		f, there := final[at]
		j.must(there || deleted[at], "lost", "%q of %s is the newest of %q, acknowledged at offset %d of %v, and there is none", s.Value, s.Producer, at.key, s.Offset, at.place)
		j.must(!there || f.offset >= s.Offset, "resurrected", "%q at offset %d of %v is read as the newest of %q, and %q was acknowledged at offset %d",
			f.value, f.offset, at.place, at.key, s.Value, s.Offset)
		j.must(!there || f.offset != s.Offset || f.value == s.Value, "lost", "%q of %s was acknowledged at offset %d of %v, where there is %q",
			s.Value, s.Producer, s.Offset, at.place, f.value)
	}
}
