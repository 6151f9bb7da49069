# confluent.py BOOTSTRAP GROUP [librdkafka.property=value ...]: a member, until it is killed.
import sys
from confluent_kafka import Consumer, libversion

config = {"bootstrap.servers": sys.argv[1], "group.id": sys.argv[2], "auto.offset.reset": "earliest", "session.timeout.ms": 6000}
config.update(p.split("=", 1) for p in sys.argv[3:])


def say(what):
    return lambda _, ps: print(what, [p.partition for p in ps], flush=True)


print("librdkafka", libversion()[0], flush=True)
c = Consumer(config)
c.subscribe(["orders"], on_assign=say("assigned"), on_revoke=say("revoked"), on_lost=say("lost"))
while True:
    m = c.poll(0.5)
    if m is not None:
        print(m.error() or f"{m.partition()}@{m.offset()} {m.value()}", flush=True)
