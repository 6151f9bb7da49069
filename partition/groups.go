package partition

// grouped puts segments together that fit into one, by their sizes as they are. end
// is where the last of them ends.
func grouped(segments []*segment, end int64, cfg *Config) (groups [][]*segment) {
	var bytes, entries, times int64
	base := int64(0) // of the group
	for i, s := range segments {
		size, n, m := s.size.Load(), s.index.n.Load()*indexEntrySize, s.times.n.Load()*timeEntrySize
		last := end
		if i+1 < len(segments) {
			last = segments[i+1].base
		}
		bytes, entries, times = bytes+size, entries+n, times+m
		limit := int64(cfg.SegmentIndexBytes)
		fits := bytes <= int64(cfg.SegmentBytes) && entries <= limit && times <= limit && (last-1-base <= maxRelative || size == 0)
		if len(groups) == 0 || !fits {
			groups = append(groups, nil)
			base, bytes, entries, times = s.base, size, n, m
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], s)
	}
	return groups
}

// onlyEmpty reports whether there is nothing in the segments.
func onlyEmpty(segments []*segment) bool {
	for _, s := range segments {
		if s.size.Load() > 0 {
			return false
		}
	}
	return true
}
