package peers

import "testing"

func kafka() contender {
	return contender{name: "kafka-rf3", absent: func() string { return "not yet" }, start: func(testing.TB, int) cluster { return nil }}
}
