// Package peers runs the benchmarks' workloads against the systems that one could
// take instead, in one process run and, where the rival speaks Kafka's protocol,
// through the same kgo client with the same settings.
//
// It is a module of its own, so that no user of brokersim downloads a rival.
// Names end in system=NAME, the rivals of one question one after the other, so
// that a run compares neighbours in time; several runs interleave them:
//
//	go test -run '^$' -bench . -benchtime 1x -count 1 .   # again and again
//	benchstat -col /system results.txt
//
// One operation is a whole piece of work of fixed size, the same for everybody;
// what an acknowledgement promises differs, and stands in contender.promise.
package peers
