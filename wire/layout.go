package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// maxItems bounds the structures in the lists of one message. A request that
// is full of the smallest ones, up to the largest frame, would otherwise take
// dozens of times its size.
const maxItems = 1 << 20

// A layout says where the counts of a message lie. kmsg believes them: it
// makes room for as many items as a list claims, as long as the message has
// one byte for each, and counts down four billion tags of which none is there.
// So bodies are walked before kmsg gets them.
type layout struct {
	flexible bool
	bare     bool // an item that is no structure: it has no tags
	fields   []fieldLayout
	tags     map[uint32]fieldLayout
}

type fieldKind uint8

const (
	fixedField fieldKind = iota
	stringField
	bytesField
	listField
	structField
	optionalField // a structure after a byte that says whether it is there
)

type fieldLayout struct {
	kind  fieldKind
	size  int     // of a fixed field
	of    *layout // of a structure, or of a list's items
	heavy bool    // a list whose items count as structures
}

// least returns the fewest bytes that the layout can take.
func (l *layout) least() (n int) {
	for _, f := range l.fields {
		n += f.least(l.flexible)
	}
	if l.flexible && !l.bare {
		n++
	}
	return n
}

func (f fieldLayout) least(flexible bool) int {
	switch {
	case f.kind == fixedField:
		return f.size
	case f.kind == structField:
		return f.of.least()
	case f.kind == optionalField || flexible:
		return 1
	case f.kind == stringField:
		return 2
	}
	return 4
}

var (
	errCount   = errors.New("a count that the message cannot hold")
	errTooMany = fmt.Errorf("more than %d items", maxItems)
)

// A walker passes over a message without decoding it.
type walker struct {
	b     []byte
	items int

	found []int // where bytes fields begin, in a message of so many bytes in all
	whole int   // 0: nobody wants to know
}

// check walks a whole body.
func (l *layout) check(body []byte) error {
	w := walker{b: body}
	return w.walk(l)
}

func (w *walker) walk(l *layout) error {
	for i := range l.fields {
		if err := w.field(&l.fields[i], l.flexible); err != nil {
			return err
		}
	}
	if l.flexible && !l.bare {
		return w.walkTags(l)
	}
	return nil
}

func (w *walker) walkTags(l *layout) error {
	count, err := w.uvarint()
	if err != nil {
		return err
	}
	if int(count) > len(w.b)/2 { // each has a key and a size
		return errCount
	}
	for range count {
		key, err := w.uvarint()
		if err != nil {
			return err
		}
		size, err := w.uvarint()
		if err != nil {
			return err
		}
		if int(size) > len(w.b) {
			return errCutOff
		}
		if f, ok := l.tags[key]; ok {
			inner := walker{b: w.b[:size], items: w.items} // no bytes that anybody looks for
			if err := inner.field(&f, true); err != nil {
				return err
			}
			w.items = inner.items
		}
		w.b = w.b[size:]
	}
	return nil
}

func (w *walker) field(f *fieldLayout, flexible bool) error {
	switch f.kind {
	case fixedField:
		return w.skip(f.size)
	case stringField:
		n, err := w.length(flexible, 2)
		if err != nil {
			return err
		}
		return w.skip(max(n, 0))
	case bytesField:
		if w.whole > 0 {
			w.found = append(w.found, w.whole-len(w.b))
		}
		n, err := w.length(flexible, 4)
		if err != nil {
			return err
		}
		return w.skip(max(n, 0))
	case structField:
		return w.walk(f.of)
	case optionalField:
		if len(w.b) == 0 {
			return errCutOff
		}
		present := int8(w.b[0]) != -1
		w.b = w.b[1:]
		if !present {
			return nil
		}
		return w.walk(f.of)
	default: // listField
		return w.list(f, flexible)
	}
}

func (w *walker) list(f *fieldLayout, flexible bool) error {
	n, err := w.length(flexible, 4)
	if err != nil {
		return err
	}
	least := max(f.of.least(), 1)
	if n > len(w.b)/least {
		return errCount
	}
	if f.heavy {
		if w.items += max(n, 0); w.items > maxItems {
			return errTooMany
		}
	}
	for range n {
		if err := w.walk(f.of); err != nil {
			return err
		}
	}
	return nil
}

// length reads what stands before strings, bytes and lists: a varint that is
// one more, or an integer of width bytes. It is negative for null.
func (w *walker) length(flexible bool, width int) (int, error) {
	if flexible {
		n, err := w.uvarint()
		if n > math.MaxInt32 {
			err = errCount
		}
		return int(n) - 1, err
	}
	if len(w.b) < width {
		return 0, errCutOff
	}
	n := 0
	if width == 2 {
		n = int(int16(binary.BigEndian.Uint16(w.b)))
	} else {
		n = int(int32(binary.BigEndian.Uint32(w.b)))
	}
	w.b = w.b[width:]
	return n, nil
}

func (w *walker) uvarint() (v uint32, err error) {
	v, w.b, err = uvarint(w.b)
	return v, err
}

func (w *walker) skip(n int) error {
	if n > len(w.b) {
		return errCutOff
	}
	w.b = w.b[n:]
	return nil
}
