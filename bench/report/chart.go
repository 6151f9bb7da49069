package main

import (
	"fmt"
	"slices"
	"strings"
)

// A chart has lines over categories, with a logarithmic axis of values.
type chart struct {
	title, under string
	x            string
	categories   []string
	lines        []curve
}

// A curve has a spread for each category; an empty one leaves a gap.
type curve struct {
	name   string
	values []spread
	dashed bool
}

// colors are those of the systems, the same in every picture; they can be told apart
// with every kind of sight, and lines have names at their ends.
var colors = []struct{ prefix, color string }{
	{"brokersim RF 3", "#0b5fa5"}, {"brokersim RF 1", "#4fa3e0"}, {"kfake", "#d1660a"},
	{"NATS", "#2f8f5b"}, {"Kafka", "#8a4fa0"}, {"create", "#0b5fa5"}, {"leaders", "#d1660a"}, {"heap", "#2f8f5b"},
}

func colorOf(name string) string {
	for _, c := range colors {
		if strings.HasPrefix(name, c.prefix) {
			return c.color
		}
	}
	return "#52606d"
}

func (ch chart) svg() []byte {
	c := newCanvas(ch.title, ch.under, height)
	var all []float64
	for _, l := range ch.lines {
		for _, s := range l.values {
			all = append(all, s...)
		}
	}
	if len(all) == 0 {
		c.text(left, top+40, "start", "not measured", "")
		return c.done()
	}
	y := newLogAxis(all, top+innerH, top)
	for _, v := range y.ticks() {
		c.line(left, y.at(v), left+innerW, y.at(v), "#e4e7eb")
		c.text(left-8, y.at(v)+4, "end", short(v), "")
	}
	for i, name := range ch.categories {
		c.text(ch.place(i), top+innerH+20, "middle", name, "")
	}
	c.line(left, top+innerH, left+innerW, top+innerH, "#9aa5b1")
	c.text(left+innerW/2, height-16, "middle", ch.x, `fill="#616e7c"`)
	for _, l := range ch.lines {
		ch.draw(c, l, y)
	}
	ch.names(c, y)
	return c.done()
}

// place is where a category stands.
func (ch chart) place(i int) float64 {
	return left + innerW*(float64(i)+0.5)/float64(len(ch.categories))
}

func (ch chart) draw(c *canvas, l curve, y logAxis) {
	var path, upper, lower []string
	for i, s := range l.values {
		if len(s) == 0 {
			continue
		}
		x := ch.place(i)
		path = append(path, fmt.Sprintf("%.1f,%.1f", x, y.at(s.median())))
		upper = append(upper, fmt.Sprintf("%.1f,%.1f", x, y.at(s.max())))
		lower = append(lower, fmt.Sprintf("%.1f,%.1f", x, y.at(s.min())))
		fmt.Fprintf(c, `<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>`+"\n", x, y.at(s.median()), colorOf(l.name))
	}
	slices.Reverse(lower)
	fmt.Fprintf(c, `<polygon points="%s" fill="%s" opacity="0.13"/>`+"\n", strings.Join(append(upper, lower...), " "), colorOf(l.name))
	dash := ""
	if l.dashed {
		dash = ` stroke-dasharray="6 4"`
	}
	fmt.Fprintf(c, `<polyline points="%s" fill="none" stroke="%s" stroke-width="2"%s/>`+"\n", strings.Join(path, " "), colorOf(l.name), dash)
}

// names writes each line's name beside its end, and moves apart those that would overlap.
func (ch chart) names(c *canvas, y logAxis) {
	type label struct {
		name    string
		x, end  float64 // where the line ends
		written float64
	}
	var labels []label
	for _, l := range ch.lines {
		for i, s := range slices.Backward(l.values) {
			if len(s) > 0 {
				labels = append(labels, label{l.name, ch.place(i), y.at(s.median()), y.at(s.median())})
				break
			}
		}
	}
	slices.SortFunc(labels, func(a, b label) int { return int(1000 * (a.end - b.end)) })
	const apart = 15
	for i := 1; i < len(labels); i++ {
		labels[i].written = max(labels[i].written, labels[i-1].written+apart)
	}
	for i, floor := len(labels)-1, float64(top+innerH); i >= 0; i-- {
		labels[i].written = min(labels[i].written, floor)
		floor = labels[i].written - apart
	}
	for _, l := range labels {
		const at = left + innerW + 8
		c.line(l.x+4, l.end, at-2, l.written, "#cbd2d9")
		c.text(at, l.written+4, "start", l.name, fmt.Sprintf(`fill="%s" font-weight="600"`, colorOf(l.name)))
	}
}
