package replication

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/internal/vfs"
)

// A replica asks to be ticked while time may bring something, and only then.
func TestAReplicaAsksForTicks(t *testing.T) {
	r := standalone(t, vfs.NewMem(1), 0)
	asked := 0
	r.cfg.Stirred = func() { asked++ }
	tick := func() (again bool) {
		asked = 0
		r.Tick(time.Now())
		return asked > 0
	}
	r.Apply(led(4, 1, 2, 3), time.Now())
	r.Settle()
	require.Equal(t, 1, asked, "a new role")
	require.True(t, tick(), "nobody has fetched yet")
	fetch := func(broker int32, offset int64, last int32) {
		require.NoError(t, r.Read(nil, followerRead(broker, offset, 4, last), time.Now()).Err)
	}
	fetch(1, 0, -1)
	fetch(3, 0, -1)
	require.False(t, tick(), "all have everything")

	asked = 0
	r.mustAppend(t, 1, "a")
	r.mustAppend(t, 1, "b")
	require.Equal(t, 1, asked, "once until the next tick")
	require.True(t, tick(), "two followers are behind")
	fetch(1, 2, 4)
	require.True(t, tick(), "and one still is")
	fetch(3, 2, 4)
	require.False(t, tick())

	asked = 0
	r.Apply(following(1, 5), time.Now())
	require.Positive(t, asked, "it has to follow")
	require.False(t, tick(), "followers have nothing to decide")
}
