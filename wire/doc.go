// Package wire speaks Kafka's protocol: frames, headers, bodies, error codes.
//
// # What it is
//
// A [Server] that turns the frames of a listener into requests for a
// [Handler], and its replies into frames; a [Client] that does the opposite
// for nodes that talk to one another; the one table between the errors of
// package metadata and Kafka's codes ([Code], [Err]); and the form in which
// the metadata log travels ([MetadataBatch]).
//
// # What it is not
//
// It knows no API: what a request means is its handler's business, and the
// layout of bodies is kmsg's. Only the frame and the two headers are written
// by hand, since kmsg has no parser for a server.
//
// # A frame
//
//	length int32 | key int16 | version int16 | correlation id int32 |
//	client id nullable string | [tags, from a key's first flexible version] | body
//
//	length int32 | correlation id int32 | [tags, if flexible; never for ApiVersions] | body
//
// # A connection of a server
//
//	       frames (1)          replies (64)
//	read ahead ───► handler ───► writer
//	    │  sees EOF: ctx ends │     │ Reply.Later, encode, one Write, Release
//	                          └─ the same, for a reply that nothing is before
//
// Requests of a connection are begun in their order and answered in their
// order. While the handler works, the next frame is being read, so that the
// end of the connection ends the handler's context at once. A reply with Later
// lets the next request begin before its own response is known. A client need
// not say ApiVersions first.
//
// # Rules
//
//   - A bad packet is an answer or a closed connection, never a panic, a hang
//     or an allocation out of proportion: a frame gets memory as its bytes
//     arrive, and counts inside a body are checked against its length before
//     kmsg believes them.
//   - What cannot be answered in the protocol (an unknown key or version,
//     garbage, an oversized frame) closes the connection once what was asked
//     before is answered, as Kafka does. Only an unknown version of ApiVersions
//     is answered, in version 0.
//   - The records of a fetch are not copied into the frame of their response: that is
//     sent in pieces, with one call (pieces.go). What of them is shared a memory
//     connection lends, and a client for one request at a time does not copy it out
//     of there either (loan.go, skeleton.go).
//   - The memory of a frame is used again: a request's byte fields are valid
//     until its reply has been written (see [Request]).
//   - Every goroutine belongs to a Server or a Client, whose Close joins it,
//     also while a peer neither reads nor writes.
//   - The error table is complete: a test compares it with package metadata.
//
// # Where to start reading
//
// header.go and frame.go, then conn.go, then client.go. layout.go is how
// hostile counts are told from honest ones.
package wire
