package peers

import "testing"

const topic = "orders"

// A contender is a system in one configuration.
type contender struct {
	name    string // as in system=NAME
	promise string // what an acknowledgement means: replication and durability
	start   func(tb testing.TB, partitions int) cluster
	absent  func() string // why it is not to be had here, if it is not; nil: it always is
}

// A cluster is a contender that runs, with an empty topic.
type cluster interface {
	producer(tb testing.TB) producer
	// requireRecords checks that the topic holds so many, on each replica as far as
	// that can be seen from outside.
	requireRecords(tb testing.TB, records int64)
	close()
}

// A producer is a system's usual client with its usual settings. All that it sends is
// acknowledged as the contender promises.
type producer interface {
	send(value []byte, records int) error // asynchronously, until the last is acknowledged
	one(value []byte) error               // and its acknowledgement
	close()
}

// against asks one contender after the other the same. Each finds the same heap, whoever
// was before it. Who is not to be had is left out by name.
func (h heap) against(b *testing.B, contenders []contender, partitions int, ask func(b *testing.B, c cluster)) {
	for _, who := range contenders {
		b.Run("system="+who.name, func(b *testing.B) {
			if who.absent != nil {
				if why := who.absent(); why != "" {
					b.Skipf("%s is left out: %s", who.name, why)
				}
			}
			h.prepare()
			c := who.start(b, partitions)
			defer c.close()
			ask(b, c)
		})
	}
}
