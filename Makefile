# Bare `make` prints the targets.
GO ?= go
TAGS ?= synctests# makes the Kafka client of the tests hold no mutex across a wait, as virtual time needs

BENCHSTAT = v0.0.0-20260908200009-22c9c6c9d4da

.PHONY: help
help: ## print this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## kill a partition's leader under load and watch
	$(GO) run ./examples/failover

.PHONY: test
test: ## all tests, under two minutes
	$(GO) test -tags $(TAGS) ./...

.PHONY: race
race: ## all tests under the race detector
	.ci/race

.PHONY: disks
disks: ## the cluster's tests with real files in every case that has a disk
	BROKERSIM_FILES=1 $(GO) test -tags $(TAGS) -count=1 -timeout 30m .

.PHONY: often
often: ## what depends on timing, a hundred times over
	$(GO) test -tags $(TAGS) -count=100 -timeout 60m . ./brokertest ./broker ./coordinator ./replication

.PHONY: sim
sim: ## whole clusters through misfortunes drawn from SEEDS seeds (default 100), from SEED on
	$(GO) test -tags $(TAGS) -timeout 60m ./simulation -seeds $(or $(SEEDS),100) -seed $(or $(SEED),1)

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (default 30s)
	./.ci/fuzz $(or $(FUZZTIME),30s)

.PHONY: models
models: ## the tests whose cases are drawn, each CHECKS times (default 2000; of themselves they do a hundred)
	./.ci/models $(or $(CHECKS),2000)

.PHONY: scenarios
scenarios: ## rewrite the expectations of the scenario files; read the diff before committing it
	$(GO) test ./replication ./coordinator/state -rewrite

.PHONY: dump-check
dump-check: ## Kafka's own log-dump tool on our files, where there is Java (and Maven, to fetch it)
	cd compat && $(GO) test -tags $(TAGS) -count=1 -v -run Dump ./kafka

.PHONY: compat
compat: ## Go clients other than ours, in groups over TCP (a module of its own)
	cd compat && $(GO) test -count=1 -parallel 16 ./clients

.PHONY: bench
bench: ## every benchmark once
	$(GO) test -run '^$$' -bench . -benchtime 1x ./...

.PHONY: bench-report
bench-report: ## ratios beside the machine and the peers, with plots, into bench/RESULTS.md; a quarter of an hour
	$(GO) run ./bench/report -runs $(or $(RUNS),5)

# What a change to the write path is likely to move, six times over as benchstat wants it.
BENCH_COMPARED = $(GO) test -run '^$$' -bench '^Benchmark(Limit|Append|EndToEnd)|^BenchmarkProduce/on=(memory|disk)/acks=all' -benchtime 0.3s -count 6 ./bench

.PHONY: bench-baseline
bench-baseline: ## what bench-compare compares with: run it before a change
	$(BENCH_COMPARED) | tee bench/baseline.txt

.PHONY: bench-compare
bench-compare: ## what a change did since bench-baseline, told by benchstat
	$(BENCH_COMPARED) > bench/changed.txt || { cat bench/changed.txt; exit 1; }
	$(GO) run golang.org/x/perf/cmd/benchstat@$(BENCHSTAT) bench/baseline.txt bench/changed.txt

.PHONY: lint
lint: ## gofmt, go vet and golangci-lint
	@test -z "$$(gofmt -l .)" || { gofmt -l .; exit 1; }
	$(GO) vet -tags $(TAGS) ./...
	golangci-lint run

.PHONY: ci
ci: ## what decides whether a change lands
	bash .ci/run
