package bench

import (
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A histogram takes durations from a microsecond to a minute, to three digits.
type histogram struct{ *hdrhistogram.Histogram }

func newHistogram() histogram {
	return histogram{hdrhistogram.New(int64(time.Microsecond), int64(time.Minute), 3)}
}

func (h histogram) record(d time.Duration) { _ = h.RecordValue(int64(d)) }

func (h histogram) report(b *testing.B) {
	for _, q := range []struct {
		of   float64
		unit string
	}{{50, "p50-us"}, {99, "p99-us"}, {99.9, "p99.9-us"}} {
		b.ReportMetric(float64(h.ValueAtPercentile(q.of))/1e3, q.unit)
	}
}
