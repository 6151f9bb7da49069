#!/usr/bin/env bash
# Makes clean/ and killed/ anew: see README.md. Needs Java 17 and Maven; takes a minute.
set -euo pipefail
cd "$(dirname "$0")"
here=$PWD
cp=$("$here/../../../compat/kafka/classpath.sh")
work=$(mktemp -d)
broker=
trap '[ -z "$broker" ] || kill -9 "$broker" 2>/dev/null || true; rm -rf "$work"' EXIT

cat >"$work/server.properties" <<EOF
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:19492,CONTROLLER://127.0.0.1:19493
controller.listener.names=CONTROLLER
controller.quorum.voters=1@127.0.0.1:19493
log.dirs=$work/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
log.index.size.max.bytes=4096
log.initial.task.delay.ms=100
log.retention.check.interval.ms=300
log.cleaner.backoff.ms=200
log.cleaner.dedupe.buffer.size=2097152
log.flush.offset.checkpoint.interval.ms=1000
log.flush.start.offset.checkpoint.interval.ms=1000
replica.high.watermark.checkpoint.interval.ms=1000
EOF
java -cp "$cp" kafka.tools.StorageTool format -t 4LxHcJ9zQ9yfQ1vAqQzWSA -c "$work/server.properties" >/dev/null

start() {
	java -Xmx512m -cp "$cp" kafka.Kafka "$work/server.properties" >>"$work/broker.out" 2>&1 &
	broker=$!
	for _ in $(seq 100); do
		if (exec 3<>/dev/tcp/127.0.0.1/19492) 2>/dev/null; then return; fi
		sleep 0.2
	done
	echo "the broker did not start:" >&2
	tail "$work/broker.out" >&2
	exit 1
}
stop() { # with a signal
	kill "-$1" "$broker"
	wait "$broker" || true
	broker=
}
tell() { java -cp "$cp" "$here/Make.java" "$1" 127.0.0.1:19492 "${@:2}"; }

# keep copies the logs and checkpoints, and what Kafka's own tool says of the snapshots.
keep() {
	rm -rf "${here:?}/$1"
	mkdir "$here/$1"
	cp -r "$work/data/." "$here/$1/"
	rm -rf "$here/$1"/__* "$here/$1"/.lock "$here/$1"/bootstrap.checkpoint
	(cd "$here/$1" && java -cp "$cp" kafka.tools.DumpLogSegments --files "$(printf '%s,' */*.snapshot)" >snapshots.txt)
}

start; tell first
stop TERM
start; tell more 1
tell describe "$work/expected.json"
stop TERM
keep clean
mv "$work/expected.json" "$here/clean/expected.json"

start; tell more 2
stop KILL
start; tell open 3
tell describe "$work/expected.json"
stop KILL
keep killed
mv "$work/expected.json" "$here/killed/expected.json"
