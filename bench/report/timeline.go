package main

import "fmt"

// A timeline shows what follows a crash, on a logarithmic axis of time: a row for each
// way to fail over, cut into phases.
type timeline struct {
	title, under string
	rows         []row
}

// A row ends when the client has its ack. One without phases is seen from outside only.
type row struct {
	name   string
	phases []phase
}

type phase struct {
	name string
	took float64 // ms
}

var phaseColors = map[string]string{
	"noticed": "#d1660a", "leader elected": "#8a4fa0", "leads": "#2f8f5b", "client's ack": "#0b5fa5", "": "#9aa5b1",
}

const rowHeight, firstMoment = 46, 0.1

func (t timeline) svg() []byte {
	const names = 150 // more room on the left than other pictures need
	high := top + rowHeight*len(t.rows) + foot + 24
	c := newCanvas(t.title, t.under, high)
	end := firstMoment * 10
	for _, r := range t.rows {
		sum := 0.0
		for _, p := range r.phases {
			sum += p.took
		}
		end = max(end, sum)
	}
	x := logAxis{firstMoment, end * 1.2, left + names - 40, width - 90}
	bottom := float64(top + rowHeight*len(t.rows))
	for _, v := range x.ticks() {
		c.line(x.at(v), top, x.at(v), bottom, "#e4e7eb")
		c.text(x.at(v), bottom+18, "middle", moment(v), "")
	}
	for i, r := range t.rows {
		y := float64(top + rowHeight*i + 12)
		c.text(left+names-50, y+16, "end", r.name, "")
		at := 0.0
		for _, p := range r.phases {
			from, to := x.at(at), x.at(at+p.took)
			fmt.Fprintf(c, `<rect x="%.1f" y="%.1f" width="%.1f" height="24" fill="%s"/>`+"\n", from, y, max(1.5, to-from), phaseColors[p.name])
			at += p.took
		}
		c.text(x.at(at)+6, y+16, "start", moment(at), `font-weight="600"`)
	}
	at := float64(left + names - 40)
	for _, name := range []string{"noticed", "leader elected", "leads", "client's ack", ""} {
		label := name
		if name == "" {
			label = "all of it, seen from outside"
		}
		fmt.Fprintf(c, `<rect x="%.1f" y="%.1f" width="12" height="12" fill="%s"/>`+"\n", at, bottom+36, phaseColors[name])
		c.text(at+17, bottom+46, "start", label, "")
		at += 34 + 7*float64(len(label))
	}
	return c.done()
}

// moment writes a time in ms as people say it.
func moment(ms float64) string {
	if ms >= 1000 {
		return fmt.Sprintf("%.3g s", ms/1000)
	}
	return fmt.Sprintf("%.3g ms", ms)
}
