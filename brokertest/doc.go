// Package brokertest starts a whole cluster for one test and takes it away again.
//
//	func TestOrdersSurviveACrash(t *testing.T) {
//		c := brokertest.Start(t, brokersim.Topic("orders", 1, 3, "min.insync.replicas=2"))
//		... a client with kgo.SeedBrokers(c.Addrs()...), kgo.Dialer(c.Dial) ...
//		old := c.Leader("orders", 0)
//		old.Kill()
//		c.Must(brokersim.NewLeader("orders", 0, old.ID()))
//		...
//	}
//
// # What it does for the test
//
//   - Whatever cannot go on ends the test: no error is returned.
//   - What the nodes warn of goes to the test's own output: it shows with -v or on failure.
//   - When the test ends, every fault is healed, the invariants are checked
//     (whatever the test was about, no two logs may differ below their high
//     watermarks), the cluster is closed, and no goroutine of it may be left.
//   - The clients of a group may tell their history ([C.History]); it is judged with the rest:
//     no two live members own a partition, no commit is forgotten, no record passed over.
//   - A test that failed prints the state of the cluster and its last 200 events;
//     under go test -artifacts the whole trace and the dump are kept as files.
//
// # Virtual time
//
// Inside [Virtual], time is virtual (testing/synctest): an hour passes as soon as
// everybody waits. Start notices and opens no sockets there, because a goroutine
// that waits on a socket stops virtual time for ever; clients must dial through
// Cluster.Dial. Subtests, t.Parallel and benchmarks are not possible inside.
//
// Two things about franz-go there: its Close does not wait for its goroutines, so
// Virtual lets a minute pass at the end; and its group consumer holds locks while
// it waits unless it is built with -tags synctests.
//
// Start reading at start.go.
package brokertest
