package event

import (
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"time"
)

// Trace writes events as JSON, one object a line, until the sequence ends or w fails.
func Trace(w io.Writer, events iter.Seq[Event]) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	for e := range events {
		if err := enc.Encode(e.printable()); err != nil {
			return fmt.Errorf("trace event %d: %w", e.Seq, err)
		}
	}
	return nil
}

// printable replaces what JSON would show badly: errors by their text and
// durations by theirs.
func (e Event) printable() Event {
	data := make(map[string]any, len(e.Data))
	for k, v := range e.Data {
		switch v := v.(type) {
		case error:
			data[k] = v.Error()
		case time.Duration:
			data[k] = v.String()
		default:
			data[k] = v
		}
	}
	e.Data = data
	return e
}
