// Command report measures brokersim beside the machine and beside its peers, and writes
// what came of it: a table of ratios with the targets next to them, and plots.
//
//	go run ./bench/report                 # five runs, into bench/RESULTS.md and bench/plots
//	go run ./bench/report -from FILE      # only writes, from what was measured before
//
// Every ratio is of two figures of one run, which were measured one after the other; the
// table shows the median of the runs' ratios, with the smallest and the largest.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	runs := flag.Int("runs", 5, "how often everything is measured")
	only := flag.String("only", "", "measure only steps whose name begins so")
	from := flag.String("from", "", "read results from this file instead of measuring")
	raw := flag.String("raw", "", "keep the results in this file")
	dir := flag.String("dir", "bench", "where RESULTS.md and plots are written")
	flag.Parse()
	if err := report(*runs, *only, *from, *raw, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func report(runs int, only, from, raw, dir string) error {
	text, err := os.ReadFile(from)
	if from == "" {
		text, err = measure(runs, only)
		if err == nil && raw != "" {
			err = os.WriteFile(raw, text, 0o644)
		}
	}
	if err != nil {
		return err
	}
	results, err := parse(bytes.NewReader(text))
	if err != nil {
		return err
	}
	plots := filepath.Join(dir, "plots")
	if err := os.MkdirAll(plots, 0o755); err != nil {
		return err
	}
	for name, plot := range pictures(results) {
		if err := os.WriteFile(filepath.Join(plots, name+".svg"), plot.svg(), 0o644); err != nil {
			return err
		}
	}
	var page bytes.Buffer
	results.page(&page)
	return os.WriteFile(filepath.Join(dir, "RESULTS.md"), page.Bytes(), 0o644)
}
