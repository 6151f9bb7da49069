// Package kafka holds what Apache Kafka's own programs say of brokersim's files: a
// cluster writes everything that it can to a DataDir, is stopped or killed, and Kafka's
// DumpLogSegments reads each segment and index and must not complain.
//
// It needs Java 17, and Maven to fetch Kafka's jars once (or KAFKA_CLASSPATH, which
// names them). Without these its tests say so and are skipped. Run it with
//
//	make dump-check
//
// written_test.go fills a cluster, tools_test.go runs Kafka's tools and knows what they
// complain with, dump_test.go puts the two together.
package kafka
