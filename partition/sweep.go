package partition

import (
	"path"
	"slices"
)

// logFiles is what recovery finds in a log's directory: the offsets in the names,
// ascending.
type logFiles struct{ segments, snapshots []int64 }

// listFiles says what files the log has, once what an interrupted change has left
// behind is finished or swept up.
func (l *Log) listFiles() (found logFiles, err error) {
	if err := l.resumeSwaps(); err != nil {
		return found, err
	}
	names, err := l.fs.List(l.dir) // sorted, and so are the offsets
	if err != nil {
		return found, l.storage("list the segments", err)
	}
	for _, name := range names {
		if stray(name, names) {
			if err := l.fs.Remove(path.Join(l.dir, name)); err != nil {
				return found, l.storage("sweep up", err)
			}
			continue
		}
		if base, ok := segmentBase(name, logSuffix); ok {
			found.segments = append(found.segments, base)
		}
		if at, ok := segmentBase(name, snapshotSuffix); ok {
			found.snapshots = append(found.snapshots, at)
		}
	}
	return found, nil
}

// stray reports whether nobody needs a file any more, names being all there are: it
// was on its way out, it was never finished, or it is an index of no segment.
func stray(name string, names []string) bool {
	of, isIndex := indexBase(name)
	return leftover(name) || isIndex && !slices.Contains(names, path.Base(segmentName("", of, logSuffix)))
}

// indexBase returns the offset in the name of an index.
func indexBase(name string) (base int64, ok bool) {
	if base, ok = segmentBase(name, indexSuffix); ok {
		return base, ok
	}
	if base, ok = segmentBase(name, timeSuffix); ok {
		return base, ok
	}
	return segmentBase(name, milestoneSuffix)
}
