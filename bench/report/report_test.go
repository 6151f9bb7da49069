package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const threeRuns = `run: 1
goos: linux
cpu: some
promise: kfake, memory: in memory, once
BenchmarkAck/on=memory/net=tcp/system=brokersim-rf1-2   1   5 ns/op   70.0 p50-us   80 p99-us
BenchmarkAck/on=memory/net=tcp/system=kfake-2           1   5 ns/op   100 p50-us
BenchmarkAck/on=memory/net=tcp/system=nothing-2         1   5 ns/op   40 p50-us
PASS
run: 2
BenchmarkAck/on=memory/net=tcp/system=brokersim-rf1-2   1   5 ns/op   10.0 p50-us
--- FAIL: BenchmarkAck/on=memory/net=tcp/system=kfake-2
run: 3
BenchmarkAck/on=memory/net=tcp/system=brokersim-rf1-2   1   5 ns/op   90.0 p50-us   80 p99-us
BenchmarkAck/on=memory/net=tcp/system=kfake-2           1   5 ns/op   90 p50-us
--- SKIP: BenchmarkAck/on=disk/net=tcp/system=kafka-rf3
BenchmarkManyPartitions/partitions=10                   1   3.5 create-ms
BenchmarkManyPartitions/partitions=100-2                1   35 create-ms
`

func parsed(t *testing.T) *results {
	r, err := parse(strings.NewReader(threeRuns))
	require.NoError(t, err)
	return r
}

func TestARatioIsOfFiguresOfOneRun(t *testing.T) {
	r := parsed(t)
	s := r.ratio(figure{acks + "brokersim-rf1", "p50-us"}, figure{acks + "kfake", "p50-us"})
	require.Equal(t, spread{0.7, 1}, s)
	require.InDelta(t, 0.85, s.median(), 1e-9)
	require.Equal(t, []string{"linux", "some"}, r.machine)
	require.Equal(t, spread{3.5}, r.of(figure{many + "10", "create-ms"}), "with or without a number of cores behind it")
}

func TestWhatIsNotThereIsLeftOutByName(t *testing.T) {
	var page bytes.Buffer
	parsed(t).page(&page)
	require.Contains(t, page.String(), "| one record at a time, RF 1: p50 | 0.85 | 0.70 .. 1.00 | ≤ 0.90 | met | 0.40 |")
	require.Contains(t, page.String(), "| 1 KiB records, disk, beside Apache Kafka | left out | | ≥ 3.00 | | |")
	require.Contains(t, page.String(), "| kfake, memory | in memory, once |")
}

func TestPicturesAreXML(t *testing.T) {
	r := parsed(t)
	for name, p := range pictures(r) {
		require.Contains(t, order, name)
		d := xml.NewDecoder(bytes.NewReader(p.svg()))
		for {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else {
				require.NoError(t, err, name)
			}
		}
	}
}
