package metadata

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A kind is how one sort of config value is read from text.
type kind[T any] struct {
	typ     ConfigType
	accepts string // for people
	parse   func(string) (T, bool)
}

// into reads value into field, or leaves the field and reports false.
func (k kind[T]) into(field *T, value string) bool {
	v, ok := k.parse(strings.TrimSpace(value))
	if ok {
		*field = v
	}
	return ok
}

var booleans = kind[bool]{typ: BoolConfig, accepts: "true or false", parse: func(s string) (bool, bool) {
	switch strings.ToLower(s) {
	case "true":
		return true, true
	case "false":
		return false, true
	}
	return false, false
}}

// timestampTypes reads message.timestamp.type: true is LogAppendTime.
var timestampTypes = kind[bool]{typ: StringConfig, accepts: "CreateTime or LogAppendTime", parse: func(s string) (bool, bool) {
	return s == "LogAppendTime", s == "LogAppendTime" || s == "CreateTime"
}}

var cleanupPolicies = kind[CleanupPolicy]{
	typ: ListConfig, accepts: "delete or compact or compact,delete",
	parse: func(s string) (CleanupPolicy, bool) {
		var seen []string
		for part := range strings.SplitSeq(s, ",") {
			part = strings.TrimSpace(part)
			if part != "delete" && part != "compact" || slices.Contains(seen, part) {
				return "", false
			}
			seen = append(seen, part)
		}
		return CleanupPolicy(strings.Join(seen, ",")), true
	},
}

func oneOf(values ...string) kind[string] {
	return kind[string]{typ: StringConfig, accepts: strings.Join(values, " or "), parse: func(s string) (string, bool) {
		return s, slices.Contains(values, s)
	}}
}

// Compact reports whether the newest record of each key is kept.
func (p CleanupPolicy) Compact() bool { return strings.Contains(string(p), "compact") }

// Delete reports whether old segments are dropped.
func (p CleanupPolicy) Delete() bool { return strings.Contains(string(p), "delete") }

// whole reads whole numbers from lo to hi.
func whole[T int | int64](typ ConfigType, lo, hi int64) kind[T] {
	return kind[T]{typ: typ, accepts: numbers("a whole number", lo, hi), parse: func(s string) (T, bool) {
		n, err := strconv.ParseInt(s, 10, 64)
		return T(n), err == nil && lo <= n && n <= hi
	}}
}

// millis reads milliseconds, at least lo.
func millis(typ ConfigType, lo int64) kind[time.Duration] { return span(typ, time.Millisecond, lo) }

// span reads a number of units, at least lo. What a Duration cannot hold becomes
// the longest one; a negative number, where lo allows it, means without limit.
func span(typ ConfigType, unit time.Duration, lo int64) kind[time.Duration] {
	hi := int64(maxLong)
	if typ == IntConfig {
		hi = maxInt
	}
	return kind[time.Duration]{typ: typ, accepts: numbers("a whole number", lo, hi), parse: func(s string) (time.Duration, bool) {
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < lo || n > hi {
			return 0, false
		}
		if n > math.MaxInt64/int64(unit) {
			return math.MaxInt64, true
		}
		return time.Duration(n) * unit, true
	}}
}

// ratio reads numbers from lo to hi.
func ratio(lo, hi float64) kind[float64] {
	return kind[float64]{typ: DoubleConfig, accepts: fmt.Sprintf("a number from %g to %g", lo, hi), parse: func(s string) (float64, bool) {
		f, err := strconv.ParseFloat(s, 64)
		return f, err == nil && lo <= f && f <= hi
	}}
}

func numbers(what string, lo, hi int64) string {
	if hi == maxInt || hi == maxLong {
		return fmt.Sprintf("%s of at least %d", what, lo)
	}
	return fmt.Sprintf("%s from %d to %d", what, lo, hi)
}
