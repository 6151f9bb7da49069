#!/usr/bin/env bash
# Prints the class path of Apache Kafka's server and tools, which Maven fetches once.
# KAFKA_CLASSPATH, if it is set, is taken instead. Exit status 2: there is no Java, or
# nothing to find Kafka with.
set -euo pipefail
if ! command -v java >/dev/null; then
	echo "there is no java here" >&2
	exit 2
fi
if [ -n "${KAFKA_CLASSPATH:-}" ]; then
	echo "$KAFKA_CLASSPATH"
	exit
fi
if ! command -v mvn >/dev/null; then
	echo "there is no mvn here to fetch Kafka with, and KAFKA_CLASSPATH names no jars" >&2
	exit 2
fi
out=$(mktemp)
trap 'rm -f "$out"' EXIT
mvn -q -B -f "$(dirname "$0")/pom.xml" dependency:build-classpath -Dmdep.outputFile="$out" >&2 || exit 2
cat "$out"
