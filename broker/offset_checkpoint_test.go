package broker

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestOffsetCheckpointIsKafkasText(t *testing.T) {
	c := offsetCheckpoint{{"orders", 10}: 7, {"orders", 2}: 0, {"a-b", 0}: 1 << 40}
	text := "0\n3\na-b 0 1099511627776\norders 2 0\norders 10 7\n"
	require.Equal(t, text, string(c.encode()))

	read, err := parseOffsetCheckpoint([]byte(text))
	require.NoError(t, err)
	require.Equal(t, c, read)

	read, err = parseOffsetCheckpoint(offsetCheckpoint{}.encode())
	require.NoError(t, err)
	require.Empty(t, read)
}

func TestOffsetCheckpointRefusesNonsense(t *testing.T) {
	for _, text := range []string{
		"", "1\n0\n", "0\n", "0\n-1\n", "0\nx\n",
		"0\n1\n",                         // cut off
		"0\n1\norders 0\n",               // a field is missing
		"0\n1\norders 0 1 2\n",           // one too many
		"0\n1\norders -1 1\n",            // no partition
		"0\n1\norders 0 -1\n",            // no offset
		"0\n1\norders 0 x\n",             //
		"0\n2\norders 0 1\norders 0 2\n", // twice
		"0\n1\norders 0 1\norders 1 2\n", // more than counted
	} {
		_, err := parseOffsetCheckpoint([]byte(text))
		require.Error(t, err, "%q", text)
	}
}

func TestLogDirectoryNames(t *testing.T) {
	for name, want := range map[string]topicPartition{
		"orders-0":   {"orders", 0},
		"a-b-12":     {"a-b", 12},
		"-x--1":      {"-x-", 1},
		"__offsets-": {}, "orders": {}, "-0": {}, "orders-01": {}, "orders-+1": {}, "orders-2147483648": {}, "": {},
	} {
		tp, ok := parseLogDir(name)
		require.Equal(t, want != topicPartition{}, ok, name)
		if ok {
			require.Equal(t, want, tp)
			require.Equal(t, name, tp.String())
		}
	}
}

func FuzzOffsetCheckpoint(f *testing.F) {
	f.Add([]byte("0\n2\norders 0 7\norders 1 9\n"))
	f.Add([]byte("0\n0\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parseOffsetCheckpoint(text)
		if err != nil {
			return
		}
		again, err := parseOffsetCheckpoint(c.encode())
		require.NoError(t, err)
		require.Equal(t, c, again)
	})
}
