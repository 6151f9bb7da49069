# kafka_python.py BOOTSTRAP GROUP: a member, until it is killed.
import sys
import kafka

print("kafka-python", kafka.__version__, flush=True)
c = kafka.KafkaConsumer("orders", bootstrap_servers=sys.argv[1], group_id=sys.argv[2], auto_offset_reset="earliest", session_timeout_ms=6000,
                        heartbeat_interval_ms=500, auto_commit_interval_ms=500)
had = None
while True:
    for records in c.poll(500).values():
        for r in records:
            print(f"{r.partition}@{r.offset} {r.value}", flush=True)
    has = sorted(p.partition for p in c.assignment())
    if has != had:
        print("assigned", has, flush=True)
        had = has
