// Package codec packs and unpacks the records of a batch in the four ways that
// Kafka has: gzip, snappy (plain, and in the frames of the Java client), lz4 and
// zstd.
//
// Packing goes through the compressors of kgo, so it is what a Go client sends.
// Unpacking uses the libraries below kgo's decompressor, for two reasons. A few
// hundred bytes can unpack to gigabytes, and kgo offers no limit there; here
// every way has one, and what is claimed in a header is believed only up to it.
// And kgo closes its zstd decoders in finalizers, which run outside the bubble
// that a decoder was made in, when time is virtual: that ends the process.
//
// A Decoder keeps its buffers between batches. It belongs to one owner, who lives
// on one side of a bubble's wall.
package codec
