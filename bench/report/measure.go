package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A step is one call of a test binary in each run.
type step struct {
	module    string // a folder: its package is measured
	bench     string
	benchtime string
}

// steps is the short version of everything. An operation of most benchmarks is a whole
// piece of work, so once is enough.
var steps = []step{
	{"bench", "Limit", "0.2s"},
	{"bench", "Append", "0.4s"},
	{"bench", "Fetch", "3x"},
	{"bench", "Start", "20x"},
	{"bench", "ManyPartitions", "1x"},
	{"bench", "Failover/by=(death|silence)/client=tuned", "2x"},
	{"bench", "Replication", "1x"},
	{"bench/peers", "Produce$/record=(100B|1KiB|128KiB)$", "1x"},
	{"bench/peers", "ProduceReplicated/record=1KiB", "1x"},
	{"bench/peers", "ProduceReplicated/record=16KiB/on=memory", "1x"},
	{"bench/peers", "Partitions/partitions=(10|1000|10000)$", "1x"},
	{"bench/peers", "Ack", "1x"},
	{"bench/peers", "EndToEnd", "1x"},
	{"bench/peers", "Failover/client=tuned", "1x"},
}

// measure runs all steps once, then all again, and so on, so that what happens on
// the machine meanwhile meets everybody: first those of the log and of brokersim alone, then
// those beside peers. It returns what go test printed.
func measure(runs int, only string) ([]byte, error) {
	tmp, err := os.MkdirTemp("", "brokersim-bench")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(tmp) }()
	binaries := map[string]string{}
	for _, module := range []string{"bench", "bench/peers"} {
		binary := filepath.Join(tmp, filepath.Base(module)+".test")
		build := exec.Command("go", "test", "-c", "-o", binary, ".")
		build.Dir, build.Stderr = module, os.Stderr
		if err := build.Run(); err != nil {
			return nil, fmt.Errorf("building %s: %w", module, err)
		}
		binaries[module] = binary
	}
	var out bytes.Buffer
	failed := 0
	began := time.Now()
	do := func(s step, what string, args ...string) {
		fmt.Fprintf(os.Stderr, "%8v  %s: %s\n", time.Since(began).Round(time.Second), what, s.bench)
		from := out.Len()
		if err := s.run(binaries[s.module], &out, args...); err != nil { // what was measured counts all the same
			fmt.Fprintf(os.Stderr, "failed: %s in %s: %v\n%s", s.bench, s.module, err, failures(out.Bytes()[from:]))
			failed++
		}
	}
	alone, peers := wanted(only)
	for run := range runs {
		fmt.Fprintf(&out, "run: %d\n", run+1)
		if load, err := os.ReadFile("/proc/loadavg"); err == nil {
			fmt.Fprintf(&out, "load: %s\n", strings.Fields(string(load))[0])
		}
		for _, s := range alone {
			do(s, fmt.Sprintf("run %d of %d", run+1, runs))
		}
	}
	if peers.bench != "" {
		do(peers, fmt.Sprintf("%d runs", runs), "-rounds", fmt.Sprint(runs))
	}
	if failed > 0 {
		fmt.Fprintf(os.Stderr, "%d steps failed: what they lack is left out\n", failed)
	}
	return out.Bytes(), nil
}

// wanted are the steps that are asked for. Those of the peers are one process for all runs, as
// Apache Kafka takes long to start: it is one pattern with alternatives, and goes through its runs by itself.
func wanted(only string) (alone []step, peers step) {
	var patterns []string
	for _, s := range steps {
		switch {
		case !strings.HasPrefix(s.module+"/"+s.bench, only) && !strings.HasPrefix(s.bench, only):
		case s.module == "bench":
			alone = append(alone, s)
		default:
			patterns = append(patterns, s.bench)
		}
	}
	return alone, step{"bench/peers", strings.Join(patterns, "|"), "1x"}
}

func (s step) run(binary string, out io.Writer, args ...string) error {
	test := exec.Command(binary, append([]string{"-test.run", "^$", "-test.bench", s.bench, "-test.benchtime", s.benchtime, "-test.timeout", "60m"}, args...)...)
	test.Dir, test.Stdout, test.Stderr = s.module, out, os.Stderr
	return test.Run()
}

// failures are the lines that name what failed, and the one behind each.
func failures(text []byte) string {
	var lines []string
	all := strings.SplitAfter(string(text), "\n")
	for i, line := range all {
		if strings.HasPrefix(line, "--- FAIL") || strings.HasPrefix(line, "panic") {
			lines = append(lines, all[i:min(i+3, len(all))]...)
		}
	}
	return strings.Join(lines, "")
}
