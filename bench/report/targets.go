package main

// A target is a ratio, or a figure if there is nothing beside it, and what it should be.
type target struct {
	group string
	what  string
	of    figure
	over  figure
	bound float64
	most  bool // the bound is an upper one

	// What the best is that anybody could reach, if that is measured: the same ratio with
	// something in the place of ours that does nothing.
	best, bestOver figure
}

// within adds what the limit is, beside what the target is beside.
func (t target) within(best string) target { return t.withinRatio(best, t.over.name) }

func (t target) withinRatio(best, over string) target {
	t.best, t.bestOver = figure{best, t.of.unit}, figure{over, t.over.unit}
	return t
}

func (t target) met(s spread) bool {
	if t.most {
		return s.median() <= t.bound
	}
	return s.median() >= t.bound
}

const (
	logs     = "One log beside the machine's limit"
	clients  = "One client over TCP, beside kfake"
	others   = "Beside those who replicate"
	crashes  = "After a crash"
	growth   = "Ten thousand partitions, replication factor 3, in memory"
	reading  = "Reading"
	produce  = "Produce/record=1KiB/on=memory/net=tcp/heap="
	small    = "Produce/record=100B/on=memory/net=tcp/heap=used/system="
	inMemory = "Produce/record=1KiB/on=memory/net=memory/heap="
	onDisk   = "Produce/record=1KiB/on=disk/net=tcp/heap=used/system="
	acks     = "Ack/on=memory/net=tcp/system="
	acksDisk = "Ack/on=disk/net=tcp/system="
	rivals   = "ProduceReplicated/record=1KiB/on="
	failover = "Failover/client=tuned/system="
	many     = "ManyPartitions/partitions="
)

// targets is what the figures stand beside.
var targets = []target{
	ratio(logs, "append, disk, 16 KiB batches, beside write(2) of 256 KiB", "MB/s", "Append/on=disk/batch=16KiB/appenders=1/as=log", "Append/on=disk/batch=16KiB/appenders=1/as=limit", 0.85).within("Append/on=disk/batch=16KiB/appenders=1/as=call"),
	ratio(logs, "append, disk, 1 KiB batches, 16 appenders, beside the same", "MB/s", "Append/on=disk/batch=1KiB/appenders=16/as=log", "Append/on=disk/batch=1KiB/appenders=16/as=limit", 0.5).within("Append/on=disk/batch=1KiB/appenders=16/as=call"),
	ratio(logs, "append, memory, 16 KiB batches, beside CRC-32C and one copy", "MB/s", "Append/on=memory/batch=16KiB/appenders=1/as=log", "Append/on=memory/batch=16KiB/appenders=1/as=limit", 0.5),
	limit(logs, "allocations for an append on disk", "allocs/op", "Append/on=disk/batch=16KiB/appenders=1/as=log", 0),

	ratio(clients, "1 KiB records, memory, RF 1, a heap that was used before", "records/s", produce+"used/system=brokersim-rf1", produce+"used/system=kfake", 1.8).within(produce + "used/system=nothing"),
	ratio(clients, "the same, a heap that is new", "records/s", produce+"new/system=brokersim-rf1", produce+"new/system=kfake", 1.8).within(produce + "new/system=nothing"),
	ratio(clients, "1 KiB records, memory, RF 3, a heap that was used before", "records/s", produce+"used/system=brokersim-rf3", produce+"used/system=kfake", 1.3).within(produce + "used/system=nothing"),
	ratio(clients, "the same, a heap that is new", "records/s", produce+"new/system=brokersim-rf3", produce+"new/system=kfake", 1.3).within(produce + "new/system=nothing"),
	ratio(clients, "100-byte records, memory, RF 1", "records/s", small+"brokersim-rf1", small+"kfake", 0.95).within(small + "nothing"),
	ratio(clients, "100-byte records, memory, RF 3", "records/s", small+"brokersim-rf3", small+"kfake", 0.95).within(small + "nothing"),
	ratio(clients, "1 KiB records, disk, RF 3, beside kfake with DataDir", "records/s", onDisk+"brokersim-rf3", onDisk+"kfake", 0.8),
	ratio(clients, "1 KiB records, memory, RF 3, clients in memory on both sides", "records/s", inMemory+"used/system=brokersim-rf3", inMemory+"used/system=kfake", 1.7),
	ratio(clients, "the same, a heap that is new", "records/s", inMemory+"new/system=brokersim-rf3", inMemory+"new/system=kfake", 1.7),
	atMost(clients, "one record at a time, RF 1: p50", "p50-us", acks+"brokersim-rf1", acks+"kfake", 0.9).within(acks + "nothing"),
	atMost(clients, "one record at a time, RF 3: p50", "p50-us", acks+"brokersim-rf3", acks+"kfake", 1).within(acks + "nothing"),
	limit(clients, "one record at a time, RF 3: p99, in µs", "p99-us", acks+"brokersim-rf3", 1000),

	ratio(others, "1 KiB records, memory, beside NATS JetStream", "records/s", rivals+"memory/system=brokersim-rf3", rivals+"memory/system=nats-r3", 8),
	ratio(others, "1 KiB records, disk, beside NATS JetStream", "records/s", rivals+"disk/system=brokersim-rf3", rivals+"disk/system=nats-r3", 8),
	ratio(others, "1 KiB records, disk, beside Apache Kafka", "records/s", rivals+"disk/system=brokersim-rf3", rivals+"disk/system=kafka-rf3", 3),
	atMost(others, "one record at a time, memory: p50 beside NATS JetStream", "p50-us", acks+"brokersim-rf3", acks+"nats-r3", 1./3).within(acks + "nothing"),
	atMost(others, "one record at a time, disk: p50 beside NATS JetStream", "p50-us", acksDisk+"brokersim-rf3", acksDisk+"nats-r3", 1./3),
	atMost(others, "one record at a time, disk: p99 beside Apache Kafka", "p99-us", acksDisk+"brokersim-rf3", acksDisk+"kafka-rf3", 1./3),

	ratio(crashes, "crash to ack, NATS JetStream beside us", "ms/failover", failover+"nats-r3", failover+"brokersim-rf3", 10),
	ratio(crashes, "crash to ack, Apache Kafka beside us", "ms/failover", failover+"kafka-rf3", failover+"brokersim-rf3", 10),
	ratio(crashes, "NATS JetStream beside us, if nobody sees the crash", "ms/failover", failover+"nats-r3", failover+"brokersim-rf3-unseen", 3),
	ratio(crashes, "Apache Kafka beside us, if nobody sees the crash", "ms/failover", failover+"kafka-rf3", failover+"brokersim-rf3-unseen", 3),
	limit(crashes, "start of three and three to the first ack, in ms", "ms/start", "Start", 40),

	limit(growth, "created, in ms", "create-ms", many+"10000", 5000),
	limit(growth, "heap, in MiB", "heap-MiB", many+"10000", 1024),
	limit(growth, "idle, in % of one core", "idle-%", many+"10000", 3),
	ratio(growth, "producing evenly to all, beside ten partitions", "records/s", many+"10000", many+"10", 0.5).withinRatio("Partitions/partitions=10000/system=nothing", "Partitions/partitions=10/system=nothing"),
	limit(growth, "leaders again after a broker was fenced, in ms", "leaders-ms", many+"10000", 500),

	ratio(reading, "old data on disk, cold, read from the log, beside read(2) of 1 MiB", "MB/s", "Fetch/cache=cold/as=log", "Fetch/cache=cold/as=limit", 0.7),
	ratio(reading, "the same through Fetch over TCP", "MB/s", "Fetch/cache=cold/as=fetch", "Fetch/cache=cold/as=limit", 0.7),
	atMost(reading, "from produce to poll, RF 3, memory: p50 beside kfake", "p50-us", "EndToEnd/on=memory/net=tcp/system=brokersim-rf3", "EndToEnd/on=memory/net=tcp/system=kfake", 1.5),
}

func ratio(group, what, unit, of, over string, bound float64) target {
	return target{group: group, what: what, of: figure{of, unit}, over: figure{over, unit}, bound: bound}
}

func atMost(group, what, unit, of, over string, bound float64) target {
	return target{group: group, what: what, of: figure{of, unit}, over: figure{over, unit}, bound: bound, most: true}
}

// limit is a target of a figure alone.
func limit(group, what, unit, of string, bound float64) target {
	return target{group: group, what: what, of: figure{of, unit}, bound: bound, most: true}
}
