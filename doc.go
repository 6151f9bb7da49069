// Package brokersim runs a whole Kafka-shaped cluster inside one Go process: real
// Raft, real replicated logs and the real protocol, with the world around them
// (network, disks, time) under control.
//
//	c, err := brokersim.New(ctx, brokersim.Topic("orders", 3, 2))
//	...
//	defer c.Close()
//	client, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs()...))
//	...
//	old := c.Leader("orders", 0)
//	old.Kill()
//	err = c.Wait(ctx, brokersim.NewLeader("orders", 0, old.ID()))
//
// The clients are anybody's: the cluster speaks Kafka's protocol, on loopback TCP
// or in memory, and has no client of its own. In tests, package brokertest starts
// one, checks it and takes it away again, also in virtual time.
//
// # What there is to do
//
//   - Build it: [New] and its options. Settings have Kafka's own names
//     ("min.insync.replicas=2") and work without any.
//   - Hurt it: [Broker.Kill], [Broker.PowerOff], [Broker.Pause], [Broker.Isolate],
//     [Disk], [Network], [Broker.FailNext]. Every fault that lasts is a [Fault]
//     with Heal; [Cluster.Heal] heals all.
//   - Wait for it: [Cluster.Wait] with a [Cond]. Wait for conditions, never for time.
//   - Look at it: [Cluster.Snapshot] shows what the coordinator decided and what each
//     replica holds; [Cluster.Events] tells everything that happens, with causes.
//
// # What stays
//
// Disks are memory, and the cluster ends with its process; [DataDir] puts everything
// into a directory, in Kafka's layout, and New continues what it finds there. Which
// records survive what is the same on both:
//
//   - acks=all: every crash of processes, one or all (Kill; SIGKILL of yours); and loss of
//     power at fewer brokers than min.insync.replicas at a time. Unsynced records go when
//     all replicas lose power at once.
//   - acks=all and flush.messages=1: loss of power everywhere, too.
//   - acks=1: nothing that the leader's crash could take.
//
// # How it is built
//
//	        you
//	─────────┬──────────────────────────────────────────────── this package
//	         │ starts, ends, wires, looks at
//	  ┌──────┴───────┐   ┌───────────┐ ┌───────────┐ ┌───────────┐
//	  │ coordinators │   │ broker 1  │ │ broker 2  │ │ broker 3  │   nodes: each is given
//	  │   1   2   3  │   │           │ │           │ │           │   listeners, a dial function,
//	  └──────┬───────┘   └─────┬─────┘ └─────┬─────┘ └─────┬─────┘   a disk, a gate, a sink
//	─────────┴─────────────────┴─────────────┴─────────────┴─── internal/network: bytes
//
// A node holds no pointer to another: whatever they say to each other goes over the
// network as Kafka's messages or Raft's, so one cut cuts all of it. Each
// incarnation of a node has a gate of its own (internal/gate) to disk, network
// and events: Kill shuts it first, so that nothing of the dead can act any more.
//
// # The packages, in reading order
//
//   - metadata: the nouns, the errors, the configs, the immutable state of the cluster
//   - partition: one replica's log on disk
//   - replication: how the replicas of one partition agree
//   - coordinator/state: who leads what, decided by one deterministic function
//   - coordinator: Raft around it, sessions, the metadata log
//   - wire: frames, headers, error codes
//   - consumergroup, consumergroup/offsets: the life of one group, and what it has committed
//   - broker: the Kafka server that hosts replicas
//   - event: everything that happens, with causes, and the words for it
//   - internal/network, internal/vfs, internal/gate: the world, made to fail
//   - this package: process.go first, then cluster.go
//   - internal/invariant, brokertest: what must hold, and a cluster for a test
//
// # What it is not
//
// Not a way to run Kafka: one process, one machine. Transactions are not there yet:
// clients find their requests missing from ApiVersions, and transactional ids refused.
//
// README.md shows a failover and what an ack survives; ARCHITECTURE.md follows a
// record, a crash, a restart and a rebalance through the files.
package brokersim
