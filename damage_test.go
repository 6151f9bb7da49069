package brokersim_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/brokersim/brokersim"
	"github.com/brokersim/brokersim/brokertest"
	"github.com/brokersim/brokersim/internal/vfs"
)

// damages are what can happen to a file while nobody looks.
var damages = map[string]func(t *testing.T, disk vfs.FS, name string){
	"flipped bit":      func(t *testing.T, disk vfs.FS, name string) { flip(t, disk, name, 0.5) },
	"flipped last bit": func(t *testing.T, disk vfs.FS, name string) { flip(t, disk, name, 1) },
	"cut in half":      func(t *testing.T, disk vfs.FS, name string) { shorten(t, disk, name, 0.5) },
	"emptied":          func(t *testing.T, disk vfs.FS, name string) { shorten(t, disk, name, 0) },
	"removed":          func(t *testing.T, disk vfs.FS, name string) { require.NoError(t, vfs.RemoveAll(disk, name)) },
}

// flip flips one bit of a file, at a fraction of its length.
func flip(t *testing.T, disk vfs.FS, name string, where float64) {
	t.Helper()
	f, err := disk.Open(name)
	require.NoError(t, err)
	defer f.Close()
	size, err := f.Size()
	require.NoError(t, err)
	if size == 0 {
		return
	}
	at, b := min(int64(where*float64(size)), size-1), make([]byte, 1)
	_, err = f.ReadAt(b, at)
	require.NoError(t, err)
	b[0] ^= 1
	_, err = f.WriteAt(b, at)
	require.NoError(t, err)
	require.NoError(t, f.Sync())
}

func shorten(t *testing.T, disk vfs.FS, name string, to float64) {
	t.Helper()
	f, err := disk.Open(name)
	require.NoError(t, err)
	defer f.Close()
	size, err := f.Size()
	require.NoError(t, err)
	require.NoError(t, f.Truncate(int64(to*float64(size))))
	require.NoError(t, f.Sync())
}

// ofLog is the n-th file with a suffix of the log orders-0; from the end if n is negative.
func ofLog(suffix string, n int) func(t *testing.T, disk vfs.FS) string {
	return func(t *testing.T, disk vfs.FS) string {
		names, err := disk.List("orders-0")
		require.NoError(t, err)
		var found []string
		for _, name := range names {
			if strings.HasSuffix(name, suffix) {
				found = append(found, path.Join("orders-0", name))
			}
		}
		require.Greater(t, len(found), 2, "%v", names)
		return found[(n+len(found))%len(found)]
	}
}

func named(name string) func(*testing.T, vfs.FS) string {
	return func(*testing.T, vfs.FS) string { return name }
}

// brokerFiles is every kind of file that a broker keeps.
var brokerFiles = map[string]func(t *testing.T, disk vfs.FS) string{
	"first log":       ofLog(".log", 0),
	"sealed log":      ofLog(".log", 1),
	"last sealed log": ofLog(".log", -2),
	"active log":      ofLog(".log", -1),
	"sealed index":    ofLog(".index", 1),
	"active index":    ofLog(".index", -1),
	"time index":      ofLog(".timeindex", 1),
	"milestones":      ofLog(".milestones", 1),
	"last milestones": ofLog(".milestones", -1),
	"snapshot":        ofLog(".snapshot", -1),
	"leader epochs":   named("orders-0/leader-epoch-checkpoint"),
	"topic id":        named("orders-0/partition.metadata"),
	"high watermarks": named("replication-offset-checkpoint"),
	"log starts":      named("log-start-offset-checkpoint"),
	"broker epoch":    named("broker-epoch"),
	"identity":        named("meta.properties"),
	"clean shutdown":  named(".kafka_cleanshutdown"),
	"the whole log":   named("orders-0"),
}

// eachDamage runs f for every damage of every kind of file, mostly in memory: real files are slow,
// and which cases have them differs from run to run.
func eachDamage(t *testing.T, f func(t *testing.T, c *brokertest.C, what damage)) {
	i := 0
	for file, find := range brokerFiles {
		for how, hurt := range damages {
			if file == "the whole log" && how != "removed" {
				continue
			}
			kind := "memory"
			if filesToo() || i%8 == 3 {
				kind = "files"
			}
			if i++; testing.Short() && i%4 > 0 {
				continue
			}
			t.Run(fmt.Sprintf("%s %s/%s", file, how, kind), func(t *testing.T) {
				onDisk(t, kind, func(t *testing.T, c *brokertest.C) {
					f(t, c, damage{file, how, find, hurt})
				}, busy())
			})
		}
	}
}

// A damage is one that befalls one kind of file.
type damage struct {
	file, how string
	find      func(t *testing.T, disk vfs.FS) string
	hurt      func(t *testing.T, disk vfs.FS, name string)
}

// befall does the damage to a broker's disk; done is false if there is no such file.
func (d damage) befall(t *testing.T, b *brokersim.Broker) (done bool) {
	disk := brokersim.FilesOf(b)
	name := d.find(t, disk)
	if name != "orders-0" {
		f, err := disk.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			return false
		}
		require.NoError(t, err)
		f.Close()
	}
	d.hurt(t, disk, name)
	return true
}

// filled has written for a while and is quiet now; all checkpoints are up to date.
func filled(t *testing.T, c *brokertest.C) *load {
	l := startLoad(t, c, "orders")
	time.Sleep(400 * time.Millisecond)
	l.stop()
	c.Must(brokersim.Replicated("orders", 0, int64(len(l.acked))))
	time.Sleep(6 * time.Second)
	return l
}

// restart starts a broker after damage. It may refuse to, or stop as soon as it finds the
// damage: then it says so, and is started once more. Without an identity it needs a new disk.
func (d damage) restart(t *testing.T, c *brokertest.C, b *brokersim.Broker) {
	t.Helper()
	err := b.Start()
	if err != nil {
		require.Equal(t, "identity", d.file)
		require.ErrorContains(t, err, "meta.properties")
		require.NoError(t, b.Wipe())
		require.NoError(t, b.Start())
		return
	}
	time.Sleep(2 * time.Second)
	startAnew(t, c, b)
}

// startAnew starts a broker that has found damage and stopped, if it has.
func startAnew(t *testing.T, c *brokertest.C, b *brokersim.Broker) {
	t.Helper()
	if !b.Process().Up() {
		failed(t, c, b, "corrupt")
		require.NoError(t, b.Start())
	}
}

// writeMore has the cluster go on.
func writeMore(t *testing.T, c *brokertest.C, l *load) {
	t.Helper()
	more := values("after", 20)
	produce(t, client(t, c, kgo.DefaultProduceTopic("orders")), more...)
	l.acked = append(l.acked, more...)
}

// A file of a broker that is down is damaged. The broker notices, or it does not matter: it
// comes back, fetches what it lacks, and all replicas are equal.
func TestDamageOfABrokerThatIsDown(t *testing.T) {
	eachDamage(t, func(t *testing.T, c *brokertest.C, d damage) {
		l := filled(t, c)
		hurt := c.Leader("orders", 0)
		end := (*brokersim.Broker).Kill
		if d.file == "clean shutdown" {
			end = (*brokersim.Broker).Stop
		}
		require.NoError(t, end(hurt))
		c.Must(brokersim.NewLeader("orders", 0, hurt.ID()))
		if !d.befall(t, hurt) {
			t.Skipf("there is no %s here", d.file)
		}
		d.restart(t, c, hurt)
		writeMore(t, c, l)
		equalAgain(t, c, l)
		require.Empty(t, electedUncleanly(t, c))
	})
}

// The same, and the broker that is hurt was the last one in sync. It does not lead with a
// hole: it leads with everything, or another one does that is known to have everything. A
// bit that has flipped where a start reads nothing is found soon afterwards, and then it
// leads only until another can.
func TestDamageOfTheLastOne(t *testing.T) {
	eachDamage(t, func(t *testing.T, c *brokertest.C, d damage) {
		l := filled(t, c)
		hurt, others := c.Leader("orders", 0), c.Followers("orders", 0)
		for _, b := range others {
			require.NoError(t, b.Kill())
			c.Must(brokersim.NotInISR("orders", 0, b.ID()))
		}
		if d.file == "clean shutdown" {
			require.NoError(t, hurt.Stop())
		} else {
			require.NoError(t, hurt.Kill())
		}
		c.Must(brokersim.NoLeader("orders", 0))
		if !d.befall(t, hurt) {
			t.Skipf("there is no %s here", d.file)
		}
		d.restart(t, c, hurt)
		require.NoError(t, others[0].Start())
		time.Sleep(3 * time.Second)
		require.NoError(t, others[1].Start())
		time.Sleep(3 * time.Second)
		startAnew(t, c, hurt) // it went on as long as nobody else could lead
		c.Must(brokersim.HasLeader("orders", 0))
		writeMore(t, c, l)
		equalAgain(t, c, l)
		require.Empty(t, electedUncleanly(t, c))
	})
}

// A file is damaged below a running broker. Nothing wrong is served, and after a restart of
// that broker, and then of all at once, all replicas are equal.
func TestDamageBelowARunningBroker(t *testing.T) {
	eachDamage(t, func(t *testing.T, c *brokertest.C, d damage) {
		l := filled(t, c)
		hurt := c.Leader("orders", 0)
		if !d.befall(t, hurt) {
			t.Skipf("there is no %s here", d.file)
		}
		n := len(l.acked)
		require.Equal(t, l.acked, consume(t, c, "orders", n)[:n])
		writeMore(t, c, l)
		if hurt.Process().Up() {
			require.NoError(t, hurt.Kill())
			c.Must(brokersim.NewLeader("orders", 0, hurt.ID()))
		}
		d.restart(t, c, hurt)
		equalAgain(t, c, l)
		for _, b := range c.Brokers() {
			require.NoError(t, b.Kill())
		}
		for _, b := range c.Brokers() {
			require.NoError(t, b.Start())
		}
		equalAgain(t, c, l)
		require.Empty(t, electedUncleanly(t, c))
	})
}
