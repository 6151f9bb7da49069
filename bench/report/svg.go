package main

import (
	"bytes"
	"fmt"
	"html"
	"math"
)

// A drawing can be written as SVG.
type drawing interface{ svg() []byte }

const (
	width, height          = 820, 440
	left, right, top, foot = 74, 190, 52, 58
	innerW, innerH         = width - left - right, height - top - foot
)

// A canvas collects the elements of a picture.
type canvas struct{ bytes.Buffer }

func newCanvas(title, under string, high int) *canvas {
	c := &canvas{}
	fmt.Fprintf(c, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" font-family="system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif" font-size="12" fill="#1f2933">`+"\n", width, high, width, high)
	fmt.Fprintf(c, `<rect width="%d" height="%d" fill="#fff"/>`+"\n", width, high)
	c.text(left, 22, "start", title, `font-size="15" font-weight="600"`)
	c.text(left, 39, "start", under, `fill="#616e7c"`)
	return c
}

func (c *canvas) text(x, y float64, anchor, s, more string) {
	fmt.Fprintf(c, `<text x="%.1f" y="%.1f" text-anchor="%s" %s>%s</text>`+"\n", x, y, anchor, more, html.EscapeString(s))
}

func (c *canvas) line(x1, y1, x2, y2 float64, color string) {
	fmt.Fprintf(c, `<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="%s"/>`+"\n", x1, y1, x2, y2, color)
}

func (c *canvas) done() []byte {
	c.WriteString("</svg>\n")
	return c.Bytes()
}

// A logAxis maps values to places, each decade as long as the next.
type logAxis struct{ from, to, low, high float64 }

// newLogAxis covers the values with some room on both sides.
func newLogAxis(values []float64, low, high float64) logAxis {
	from, to := math.Inf(1), 0.0
	for _, v := range values {
		if v > 0 {
			from, to = min(from, v), max(to, v)
		}
	}
	return logAxis{from / 1.5, to * 1.5, low, high}
}

func (a logAxis) at(v float64) float64 {
	v = max(v, a.from)
	return a.low + (a.high-a.low)*math.Log(v/a.from)/math.Log(a.to/a.from)
}

// ticks are 1, 10, 100 and so on; 2 and 5 between them if there are few.
func (a logAxis) ticks() (at []float64) {
	steps := []float64{1}
	if a.to/a.from < 300 {
		steps = []float64{1, 2, 5}
	}
	for decade := math.Pow(10, math.Floor(math.Log10(a.from))); decade <= a.to; decade *= 10 {
		for _, s := range steps {
			if v := decade * s; v >= a.from && v <= a.to {
				at = append(at, v)
			}
		}
	}
	return at
}

// short writes a tick's number.
func short(v float64) string {
	for _, unit := range []struct {
		of   float64
		name string
	}{{1e6, " M"}, {1e3, " k"}} {
		if v >= unit.of {
			return fmt.Sprintf("%g%s", v/unit.of, unit.name)
		}
	}
	return fmt.Sprintf("%g", v)
}
