package main

import (
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
)

// page writes RESULTS.md.
func (r *results) page(w io.Writer) {
	fmt.Fprintf(w, `# Results

%s; %d cores, %s. Made by %[4]smake bench-report%[4]s from %d runs of everything, one after the other; each ratio is of
two figures of one run that were measured one after the other, and the table has the median of the ratios, with the
smallest and the largest. [README.md](README.md) tells what is measured and how. Under *limit* stands what the ratio is with something that does
nothing in our place: a server that acknowledges and keeps nothing, or write(2) of as much as one write of the log holds. Where that misses
the target, too, nobody reaches it on this machine; [LIMITS.md](LIMITS.md) goes through what is missed.
`, strings.Join(r.machine, ", "), runtime.NumCPU(), runtime.Version(), "`", r.runs())
	if len(r.load) > 0 {
		fmt.Fprintf(w, "The machine's load average before the runs, the report's own work included: %s. Above its number of cores the machine was shared.\n", strings.Join(r.load, ", "))
	}
	r.targets(w)
	r.systems(w)
	fmt.Fprint(w, "\n## Plots\n\nMedians; the bands reach from the smallest to the largest run.\n\n")
	for _, name := range order {
		fmt.Fprintf(w, "![%s](plots/%s.svg)\n\n", strings.ReplaceAll(name, "-", " "), name)
	}
	r.all(w)
}

func (r *results) runs() (n int) {
	for _, units := range r.figures {
		for _, s := range units {
			n = max(n, len(s))
		}
	}
	return n
}

func (r *results) targets(w io.Writer) {
	group := ""
	for _, t := range targets {
		if t.group != group {
			group = t.group
			fmt.Fprintf(w, "\n## %s\n\n| | median | min .. max | target | | limit |\n|---|--:|--:|--:|---|--:|\n", group)
		}
		s, sign := r.ratio(t.of, t.over), "≥"
		if t.most {
			sign = "≤"
		}
		bound := fmt.Sprintf("%s %s", sign, number(t.bound))
		if len(s) == 0 {
			fmt.Fprintf(w, "| %s | left out | | %s | | |\n", t.what, bound)
			continue
		}
		verdict := "missed"
		if t.met(s) {
			verdict = "met"
		}
		limit := ""
		if best := r.ratio(t.best, t.bestOver); len(best) > 0 {
			limit = number(best.median())
		}
		fmt.Fprintf(w, "| %s | %s | %s .. %s | %s | %s | %s |\n", t.what, number(s.median()), number(s.min()), number(s.max()), bound, verdict, limit)
	}
}

// systems says what an acknowledgement means to whom, as the peers themselves tell it.
func (r *results) systems(w io.Writer) {
	fmt.Fprint(w, "\n## What an acknowledgement means\n\n| system | a record is |\n|---|---|\n")
	for _, p := range r.promises {
		name, what, _ := strings.Cut(p, ": ")
		fmt.Fprintf(w, "| %s | %s |\n", name, what)
	}
}

// all lists every figure.
func (r *results) all(w io.Writer) {
	fmt.Fprint(w, "## Every figure\n\nMedian (smallest .. largest).\n\n| benchmark | |\n|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(r.figures)) {
		var cells []string
		for _, unit := range slices.Sorted(maps.Keys(r.figures[name])) {
			s := r.of(figure{name, unit})
			if unit == "ns/op" && len(r.figures[name]) > 1 || s.max() == 0 && unit != "allocs/op" {
				continue // says nothing that another unit does not say better
			}
			cells = append(cells, fmt.Sprintf("%s (%s .. %s) %s", number(s.median()), number(s.min()), number(s.max()), unit))
		}
		fmt.Fprintf(w, "| %s | %s |\n", name, strings.Join(cells, "<br>"))
	}
}

// number writes three digits that matter.
func number(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 1e6:
		return fmt.Sprintf("%.2f M", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.0f k", v/1e3)
	case v >= 100:
		return fmt.Sprintf("%.0f", v)
	case v >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
