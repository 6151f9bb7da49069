// Package story is what the examples share: a shop that places orders, a reader
// that follows them, and a ledger that knows which orders were acknowledged and
// which were read, and so can say at the end whether anything was lost.
//
// The ledger believes nobody. An order counts as acknowledged when the client's
// callback says so, as read when a record with its id came back, and as a
// duplicate when its id was seen at two offsets. A verdict is drawn up from that
// alone.
package story
