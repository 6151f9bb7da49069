package wire

import (
	"bytes"
	"reflect"
	"sync"
)

// layouts are those that have been learned, by layoutKey.
var layouts sync.Map

type layoutKey struct {
	message reflect.Type
	version int16
}

// layoutOf returns the layout of a message in its version. It is learned once,
// from kmsg's encoder: a field is on the wire if changing it changes the
// encoding, and how the length changes tells a plain field from a tagged one.
// kmsg keeps the order of the wire in its structs.
func layoutOf(m message) *layout {
	key := layoutKey{reflect.TypeOf(m).Elem(), m.GetVersion()}
	if l, ok := layouts.Load(key); ok {
		return l.(*layout)
	}
	le := learner{key: key, flexible: m.IsFlexible()}
	l, _ := layouts.LoadOrStore(key, le.structure(key.message, func(root reflect.Value) reflect.Value { return root }))
	return l.(*layout)
}

// A learner encodes messages that differ in one thing.
type learner struct {
	key      layoutKey
	flexible bool
}

// A place finds (and makes, in a fresh message) the structure that is looked at.
type place func(root reflect.Value) reflect.Value

// encode returns the message that is all defaults but for what change does.
func (le learner) encode(change func(root reflect.Value)) []byte {
	root := reflect.New(le.key.message)
	setDefaults(root.Elem())
	change(root.Elem())
	m := root.Interface().(interface {
		message
		SetVersion(int16)
	})
	m.SetVersion(le.key.version)
	return m.AppendTo(nil)
}

func (le learner) structure(t reflect.Type, at place) *layout {
	l := &layout{flexible: le.flexible, tags: make(map[uint32]fieldLayout)}
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() || f.Name == "UnknownTags" || f.Name == "Version" && f.Type.Kind() == reflect.Int16 && i == 0 {
			continue
		}
		here := func(root reflect.Value) reflect.Value { return at(root).Field(i) }
		switch found, tag := le.find(f.Type, here); found {
		case plain:
			l.fields = append(l.fields, le.field(f.Type, here))
		case tagged:
			l.tags[tag] = le.field(f.Type, le.anchored(f.Type, here))
		case absent:
		}
	}
	return l
}

type presence int

const (
	absent presence = iota
	plain
	tagged
)

// find tells whether and how a field is on the wire.
func (le learner) find(t reflect.Type, here place) (presence, uint32) {
	if t.Kind() == reflect.Struct { // it is there if one of its fields is
		for i := range t.NumField() {
			if t.Field(i).Name == "UnknownTags" {
				continue
			}
			inner := func(root reflect.Value) reflect.Value { return here(root).Field(i) }
			if found, tag := le.find(t.Field(i).Type, inner); found != absent {
				return found, tag
			}
		}
		return absent, 0
	}
	with := func(n int) []byte { return le.encode(func(root reflect.Value) { setExample(here(root), n) }) }
	zero, one, two := with(0), with(1), with(2)
	if bytes.Equal(zero, one) {
		return absent, 0
	}
	grown := len(one) - len(zero)
	switch t.Kind() {
	case reflect.Slice:
		if grown == len(two)-len(one) {
			return plain, 0
		}
	case reflect.Pointer, reflect.String:
		first := firstDifference(zero, one)
		if t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct {
			if zero[first] == 0xff {
				return plain, 0
			}
		} else if grown == 1 {
			return plain, 0
		}
	default:
		if grown == 0 {
			return plain, 0
		}
	}
	// A count of tags went from 0 to 1; the key follows it.
	tag, _, err := uvarint(one[firstDifference(zero, one)+1:])
	if err != nil {
		return absent, 0
	}
	return tagged, tag
}

func (le learner) field(t reflect.Type, here place) fieldLayout {
	switch t.Kind() {
	case reflect.String:
		return fieldLayout{kind: stringField}
	case reflect.Pointer:
		if t.Elem().Kind() == reflect.String {
			return fieldLayout{kind: stringField}
		}
		return fieldLayout{kind: optionalField, of: le.structure(t.Elem(), func(root reflect.Value) reflect.Value {
			p := here(root)
			if p.IsNil() {
				setExample(p, 1)
			}
			return p.Elem()
		})}
	case reflect.Struct:
		return fieldLayout{kind: structField, of: le.structure(t, here)}
	case reflect.Slice:
		return le.list(t.Elem(), here)
	}
	return fieldLayout{kind: fixedField, size: int(t.Size())}
}

func (le learner) list(item reflect.Type, here place) fieldLayout {
	if item.Kind() == reflect.Uint8 {
		return fieldLayout{kind: bytesField}
	}
	first := func(root reflect.Value) reflect.Value {
		list := here(root)
		if list.Len() == 0 {
			setExample(list, 1)
		}
		return list.Index(0)
	}
	if item.Kind() == reflect.Struct {
		return fieldLayout{kind: listField, of: le.structure(item, first), heavy: true}
	}
	return fieldLayout{kind: listField, of: &layout{flexible: le.flexible, bare: true, fields: []fieldLayout{le.field(item, first)}}}
}

// anchored returns here with, for a tagged structure, a value that is not the
// default: otherwise it would not be encoded at all while its fields are tried
// one by one. Bumping a number twice keeps it apart from its default.
func (le learner) anchored(t reflect.Type, here place) place {
	if t.Kind() != reflect.Struct {
		return here
	}
	return func(root reflect.Value) reflect.Value {
		s := here(root)
		for i := range t.NumField() {
			if f := s.Field(i); f.CanInt() {
				f.SetInt(f.Int() + 1)
			}
		}
		return s
	}
}

// setExample makes v its zero (0), or something else (1), or more of it (2).
func setExample(v reflect.Value, n int) {
	switch v.Kind() {
	case reflect.Slice:
		v.SetZero()
		if n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
		}
		for i := range n {
			setDefaults(v.Index(i))
		}
	case reflect.Pointer:
		v.SetZero()
		if n > 0 {
			v.Set(reflect.New(v.Type().Elem()))
			if v.Elem().Kind() == reflect.String {
				v.Elem().SetString("x")
			}
			setDefaults(v.Elem())
		}
	case reflect.String:
		v.SetString("xx"[:n])
	case reflect.Bool:
		v.SetBool(v.Bool() != (n > 0))
	case reflect.Float64:
		v.SetFloat(v.Float() + float64(n))
	case reflect.Array:
		v.Index(0).SetUint(uint64(n))
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(v.Int() + int64(n))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(v.Uint() + uint64(n))
	}
}

func setDefaults(v reflect.Value) {
	if d, ok := v.Addr().Interface().(interface{ Default() }); ok {
		d.Default()
	}
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	return min(len(a), len(b))
}
