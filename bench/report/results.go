package main

import (
	"bufio"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// results are the figures of several runs: of the benchmark's name, then of the unit,
// one figure for each run in turn.
type results struct {
	machine  []string // goos, goarch, cpu
	promises []string // what an acknowledgement means, by system
	figures  map[string]map[string][]float64
}

// "BenchmarkName-2  10  123 ns/op  45 MB/s": the suffix is GOMAXPROCS.
var line = regexp.MustCompile(`^Benchmark(\S+?)(?:-\d+)?\s+\d+\s+(\S.*)$`)

// parse reads what go test -bench printed.
func parse(r io.Reader) (*results, error) {
	got := &results{figures: map[string]map[string][]float64{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		text := lines.Text()
		key, value, _ := strings.Cut(text, ": ")
		switch key {
		case "goos", "goarch", "cpu":
			got.machine = addOnce(got.machine, value)
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
			got.add(m[1], fields[i+1], v)
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

func (r *results) add(name, unit string, v float64) {
	if r.figures[name] == nil {
		r.figures[name] = map[string][]float64{}
	}
	r.figures[name][unit] = append(r.figures[name][unit], v)
}

// A figure is one unit of one benchmark.
type figure struct{ name, unit string }

func (r *results) of(f figure) spread { return r.figures[f.name][f.unit] }

// ratio is a beside b, run by run.
func (r *results) ratio(a, b figure) spread {
	over, under := r.of(a), r.of(b)
	if b.name == "" {
		return over
	}
	var s spread
	for i := range min(len(over), len(under)) {
		s = append(s, over[i]/under[i])
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
