//go:build race

package partition_test

// The race detector makes pools forget, so what is allocated says nothing; and it makes
// the model of compaction ten times slower, which tells it nothing new.
func init() {
	countAllocations, slower = false, 17
	compactionShare = 5
}
