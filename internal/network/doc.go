// Package network is the world between the nodes: every byte that leaves a
// node passes through it, and so every fault of a network is a line of Go.
//
// # What it is
//
// A [Network] has hosts by name ("broker-1", "coordinator-2", "clients"). A
// [Host] listens and dials, and gives out ordinary net.Listeners and net.Conns;
// nodes do not know this package, only the root hands them its functions.
// Addresses such as "broker-1:9090" are connections in memory; [Host.ListenTCP]
// gives real sockets, whose peers all belong to the host "clients".
//
// # What it is not
//
// It is no packet simulator. It models what a TCP connection shows to a
// process: bytes in order or not at all, back-pressure, EOF, resets, refusals
// and silence. Nothing is ever lost inside a stream; what is lost is the
// connection.
//
// # How bytes travel
//
//	             link broker-1 → broker-2
//	          cut? delay? bandwidth? interceptors
//	                       │
//	conn.Write ─► pipe: [chunk][chunk][chunk][end] ─► conn.Read
//	  gate of the writer    │ at  │ at   │ until        gate of the reader
//	conn.Read  ◄─ pipe: ...                        ◄─ conn.Write
//
// A connection is two pipes. A pipe is a queue of chunks without a goroutine;
// each chunk knows when it arrives, and the reader waits for that, for the link
// to be whole, and for its own incarnation not to be paused. The end of the
// stream and a reset are entries of the queue, so that they too are late or
// held. A full pipe makes its writer wait.
//
// Chunks are copies, unless who writes has bytes that nobody changes
// (conn.WriteSpans): those are lent, which is a chunk like any other, and who
// asks for it (conn.ReadSpan) gets the same memory. Interceptors, and real
// sockets, copy.
//
// A real socket is used directly until a fault touches its links. From then on
// each of its directions goes through a pipe as well, with one goroutine
// between pipe and socket.
//
// # Rules
//
//   - Kill: listeners close first, then connections are reset; dials are
//     refused. PowerOff: peers hear nothing, dials hang; real sockets stay open
//     and mute. Revive resets what has survived, and the host may listen again.
//   - An incarnation whose gate is shut can tell nobody anything: Close of its
//     connections and listeners is silent, and Kill, PowerOff and Revive decide
//     what the peers hear.
//   - A cut holds bytes and loses none: as retransmission does. Resets and the
//     end of a stream are held likewise. Unlike TCP, a connection never gives
//     up by itself, however long the cut.
//   - Every fault returns its heal function; calling it again does nothing.
//   - Interceptors see whole Kafka messages. A message that is held or late
//     makes everything behind it on the connection late. Responses are matched
//     to requests by correlation id.
//   - It runs in a testing/synctest bubble (memory connections only): all waits
//     are conditions, channels and timers, no mutex is held across one, and no
//     goroutine exists but those that a fault on a real socket, or a held
//     message, needs. [Network.Close] joins them.
//
// # Where to start reading
//
// network.go and host.go for the nouns, pipe.go, pipe_write.go and lend.go for
// how bytes wait, fault.go for the faults, scanner.go and exchange.go for
// interception, tcpconn.go for real sockets.
package network
