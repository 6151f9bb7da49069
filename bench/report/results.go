package main

import (
	"bufio"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// results are the figures of several runs: of the benchmark's name, then of the unit.
type results struct {
	machine  []string // goos, goarch, cpu
	load     []string // averages before each run
	promises []string // what an acknowledgement means, by system
	figures  map[string]map[string][]sample
}

// A sample is what one run came to. Something may have failed in another one.
type sample struct {
	run   int
	value float64
}

// "BenchmarkName-2  10  123 ns/op  45 MB/s": the suffix is GOMAXPROCS.
var line = regexp.MustCompile(`^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+(\S.*)$`)

// parse reads what go test -bench printed.
func parse(r io.Reader) (*results, error) {
	got, run := &results{figures: map[string]map[string][]sample{}}, 0
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		text := lines.Text()
		key, value, _ := strings.Cut(text, ": ")
		switch key {
		case "goos", "goarch", "cpu":
			got.machine = addOnce(got.machine, value)
		case "run":
			run, _ = strconv.Atoi(value)
		case "load":
			got.load = append(got.load, value)
		case "promise":
			got.promises = addOnce(got.promises, value)
		}
		m := line.FindStringSubmatch(text)
		if m == nil {
			continue
		}
		fields := strings.Fields(m[2])
		for i := 0; i+1 < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				break
			}
			got.add(m[1], fields[i+1], sample{run, v})
		}
	}
	return got, lines.Err()
}

func addOnce(list []string, value string) []string {
	if slices.Contains(list, value) {
		return list
	}
	return append(list, value)
}

func (r *results) add(name, unit string, s sample) {
	if r.figures[name] == nil {
		r.figures[name] = map[string][]sample{}
	}
	r.figures[name][unit] = append(r.figures[name][unit], s)
}

// A figure is one unit of one benchmark.
type figure struct{ name, unit string }

func (r *results) of(f figure) (s spread) {
	for _, of := range r.figures[f.name][f.unit] {
		s = append(s, of.value)
	}
	return s
}

// ratio is a beside b, run by run.
func (r *results) ratio(a, b figure) (s spread) {
	if b.name == "" {
		return r.of(a)
	}
	for _, over := range r.figures[a.name][a.unit] {
		for _, under := range r.figures[b.name][b.unit] {
			if over.run == under.run {
				s = append(s, over.value/under.value)
			}
		}
	}
	return s
}

// A spread is what several runs came to.
type spread []float64

func (s spread) sorted() []float64 { return slices.Sorted(slices.Values(s)) }

func (s spread) median() float64 {
	v := s.sorted()
	if n := len(v); n%2 == 1 {
		return v[n/2]
	} else if n > 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return 0
}

func (s spread) min() float64 { return slices.Min(s) }
func (s spread) max() float64 { return slices.Max(s) }
