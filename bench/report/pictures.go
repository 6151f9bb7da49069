package main

// order is in which order RESULTS.md shows the pictures.
var order = []string{"throughput-by-record-size", "latency", "throughput-by-partitions", "failover", "growth"}

func pictures(r *results) map[string]drawing {
	return map[string]drawing{
		"throughput-by-record-size": r.bySize(),
		"latency":                   r.latency(),
		"throughput-by-partitions":  r.byPartitions(),
		"failover":                  r.failover(),
		"growth":                    r.growth(),
	}
}

// curve is one unit of a benchmark with several values in its name.
func (r *results) curve(name, before string, values []string, after, unit string) curve {
	c := curve{name: name}
	for _, v := range values {
		c.values = append(c.values, r.of(figure{before + v + after, unit}))
	}
	return c
}

func (r *results) bySize() drawing {
	sizes := []string{"100B", "1KiB", "16KiB", "128KiB"}
	tcp := func(name, system string) curve {
		return r.curve(name, "Produce/record=", sizes, "/on=memory/net=tcp/heap=used/system="+system, "MB/s")
	}
	disk := func(name, system string) curve {
		c := r.curve(name, "ProduceReplicated/record=", sizes, "/on=disk/system="+system, "MB/s")
		c.dashed = true
		return c
	}
	return chart{
		title: "Throughput by size of record, MB/s", under: "one asynchronous client, acks=all, six partitions; solid lines in memory, dashed ones on disk",
		x: "size of a record", categories: sizes,
		lines: []curve{
			tcp("brokersim RF 1", "brokersim-rf1"), tcp("kfake (one copy)", "kfake"), tcp("brokersim RF 3", "brokersim-rf3"),
			disk("brokersim RF 3, disk", "brokersim-rf3"), disk("NATS R3, disk", "nats-r3"), disk("Kafka RF 3, disk", "kafka-rf3"),
		},
	}
}

func (r *results) latency() drawing {
	quantiles := []string{"p10", "p50", "p90", "p99", "p99.9"}
	of := func(name, where, system string) curve {
		c := curve{name: name, dashed: where == "disk"}
		for _, q := range quantiles {
			c.values = append(c.values, r.of(figure{"Ack/on=" + where + "/net=tcp/system=" + system, q + "-us"}))
		}
		return c
	}
	return chart{
		title: "Time to the ack of one record, µs", under: "1 KiB, acks=all, the next one is sent then; solid lines in memory, dashed ones on disk",
		x: "share of the records that were acknowledged within it", categories: quantiles,
		lines: []curve{
			of("brokersim RF 1", "memory", "brokersim-rf1"), of("kfake (one copy)", "memory", "kfake"), of("brokersim RF 3", "memory", "brokersim-rf3"),
			of("NATS R3", "memory", "nats-r3"), of("brokersim RF 3, disk", "disk", "brokersim-rf3"), of("NATS R3, disk", "disk", "nats-r3"), of("Kafka RF 3, disk", "disk", "kafka-rf3"),
		},
	}
}

var counts = []string{"10", "100", "1000", "10000"}

func (r *results) byPartitions() drawing {
	return chart{
		title: "Throughput by number of partitions, records/s", under: "1 KiB records evenly to all partitions, acks=all, in memory, three brokers",
		x: "partitions", categories: counts,
		lines: []curve{
			r.curve("brokersim RF 3", "Partitions/partitions=", counts, "/system=brokersim-rf3", "records/s"),
			r.curve("kfake (one copy)", "Partitions/partitions=", counts, "/system=kfake", "records/s"),
		},
	}
}

func (r *results) growth() drawing {
	return chart{
		title: "Cost as the work grows", under: "replication factor 3, in memory, three brokers",
		x: "partitions", categories: counts,
		lines: []curve{
			r.curve("create, ms", many, counts, "", "create-ms"),
			r.curve("leaders again, ms", many, counts, "", "leaders-ms"),
			r.curve("heap, MiB", many, counts, "", "heap-MiB"),
		},
	}
}

func (r *results) failover() drawing {
	t := timeline{title: "From a crash to the client's next ack", under: "medians, default settings of the servers; clients look for the new leader every 20 ms, NATS's sends again after 100 ms"}
	for _, way := range []struct{ name, by string }{{"brokersim", "death"}, {"brokersim, unseen", "silence"}} {
		name := "Failover/by=" + way.by + "/client=tuned"
		line := row{name: way.name}
		for _, p := range []struct{ name, unit string }{
			{"noticed", "notice-ms"}, {"leader elected", "elect-ms"}, {"leads", "lead-ms"}, {"client's ack", "ack-ms"},
		} {
			line.phases = append(line.phases, phase{p.name, r.of(figure{name, p.unit}).median()})
		}
		t.rows = append(t.rows, line)
	}
	for _, other := range []struct{ name, system string }{{"NATS JetStream", "nats-r3"}, {"Apache Kafka", "kafka-rf3"}} {
		if s := r.of(figure{failover + other.system, "ms/failover"}); len(s) > 0 {
			t.rows = append(t.rows, row{other.name, []phase{{"", s.median()}}})
		}
	}
	return t
}
