package broker

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/brokersim/brokersim/metadata"
)

// What a restart means (KIP-966): each row is a way to die and come back.
func TestJudge(t *testing.T) {
	ran := &lastRun{epoch: 7, session: "s1"}
	stopped := &cleanShutdown{BrokerEpoch: 7, Logs: map[string]int64{"orders-0": 42, "orders-1": 0}}
	whole := map[string]recovered{"orders-0": {end: 42}, "orders-1": {end: 0}}
	short := map[string]recovered{"orders-0": {end: 41}, "orders-1": {end: 0}}
	damaged := map[string]recovered{"orders-0": {end: 42, corrupt: true}, "orders-1": {end: 0}}

	for _, c := range []struct {
		name    string
		last    *lastRun
		stopped *cleanShutdown
		session string
		logs    map[string]recovered
		want    int64
	}{
		{"a new disk", nil, nil, "s1", nil, -1},
		{"killed, page cache kept", ran, nil, "s1", whole, 7},
		{"killed in the middle of a write", ran, nil, "s1", short, 7},
		{"power lost", ran, nil, "s2", whole, -1},
		{"killed on a disk that knows no sessions", &lastRun{epoch: 7}, nil, "", whole, -1},
		{"killed, and a log is damaged", ran, nil, "s1", damaged, -1},
		{"killed, and the end of a log is wrong", ran, nil, "s1", map[string]recovered{"orders-0": {end: 41, garbled: true}}, -1},
		{"killed, and what was committed is gone", ran, nil, "s1", map[string]recovered{"orders-0": {end: 41, committed: 42}}, -1},
		{"killed, and a log is gone", ran, nil, "s1", map[string]recovered{"orders-0": {committed: 42}}, -1},
		{"killed, and nobody knows better", ran, nil, "s1", map[string]recovered{"orders-0": {end: 41, committed: 41}}, 7},
		{"stopped cleanly", ran, stopped, "s1", whole, 7},
		{"stopped cleanly, then power lost", ran, stopped, "s2", whole, 7},
		{"stopped cleanly on a disk that knows no sessions", &lastRun{epoch: 7}, stopped, "", whole, 7},
		{"stopped cleanly, yet a log is short", ran, stopped, "s2", short, -1},
		{"stopped cleanly, yet a log is short in the same session", ran, stopped, "s1", short, -1},
		{"stopped cleanly, yet a log is gone", ran, stopped, "s1", map[string]recovered{"orders-0": {end: 42}}, -1},
		{"stopped cleanly, yet a log is damaged", ran, stopped, "s1", damaged, -1},
		{"unclean once and never registered since", &lastRun{epoch: 7}, nil, "s1", whole, -1},
		{"a clean-shutdown file of an earlier run", &lastRun{epoch: 9, session: "s1"}, stopped, "s2", whole, -1},
		{"only the clean-shutdown file is left", nil, stopped, "s2", whole, 7},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := judge(c.last, c.stopped, c.session, c.logs)
			require.Equal(t, c.want, v.previousEpoch(), v.why)
		})
	}
}

func TestDiskFilesReadWhatTheyWrote(t *testing.T) {
	meta := metaProperties{clusterID: "5L6g3nShT-eMCtK--X86sw", nodeID: 3, directory: newUUID()}
	m, err := parseMetaProperties(meta.encode())
	require.NoError(t, err)
	require.Equal(t, meta, m)

	r, err := parseLastRun(lastRun{epoch: 12, session: "boot=1"}.encode())
	require.NoError(t, err)
	require.Equal(t, lastRun{epoch: 12, session: "boot=1"}, r)

	stopped := cleanShutdown{BrokerEpoch: 12, Logs: map[string]int64{"a-b-0": 1, "a-b-1": 0}}
	c, err := parseCleanShutdown(stopped.encode())
	require.NoError(t, err)
	require.Equal(t, stopped, c)
}

func TestMetaPropertiesReadsKafkas(t *testing.T) {
	m, err := parseMetaProperties([]byte("#\n#Fri Jan 05 11:12:13 UTC 2024\ncluster.id=MkU3OEVBNTcwNTJENDM2Qg\nversion=1\n" +
		"directory.id=l6TszxvNSsy3bGEJFjlC4A\nnode.id=1\n"))
	require.NoError(t, err)
	require.Equal(t, int32(1), m.nodeID)
	require.Equal(t, "MkU3OEVBNTcwNTJENDM2Qg", m.clusterID)
}

func TestMetaPropertiesRefusesForeignDisks(t *testing.T) {
	m := metaProperties{clusterID: "mine", nodeID: 1}
	require.NoError(t, m.check("mine", 1))
	require.ErrorIs(t, m.check("other", 1), metadata.ErrInconsistentClusterID)
	require.ErrorContains(t, m.check("mine", 2), "belongs to broker 1")
}

func TestDiskFilesRefuseNonsense(t *testing.T) {
	for _, text := range []string{"", "version=2", "version=1\nnode.id=x", "version=1\nnode.id=1\ndirectory.id=short"} {
		_, err := parseMetaProperties([]byte(text))
		require.Error(t, err, "%q", text)
	}
	for _, text := range []string{"", "broker.epoch=-1", "broker.epoch=", "broker.epoch=1e3"} {
		_, err := parseLastRun([]byte(text))
		require.Error(t, err, "%q", text)
	}
	// Kafka's own file lists no logs: it proves less than is asked for here.
	for _, text := range []string{"", "{", `{"version":0,"brokerEpoch":1}`, `{"version":1,"brokerEpoch":1,"logs":{}}`, `{"version":0,"brokerEpoch":-1,"logs":{}}`} {
		_, err := parseCleanShutdown([]byte(text))
		require.Error(t, err, "%q", text)
	}
}

func FuzzDiskFiles(f *testing.F) {
	f.Add(metaProperties{clusterID: "c", nodeID: 1, directory: newUUID()}.encode())
	f.Add(lastRun{epoch: 3, session: "s"}.encode())
	f.Add(cleanShutdown{BrokerEpoch: 1, Logs: map[string]int64{"t-0": 1}}.encode())
	f.Fuzz(func(t *testing.T, text []byte) {
		if r, err := parseLastRun(text); err == nil {
			again, err := parseLastRun(r.encode())
			require.NoError(t, err)
			require.Equal(t, r, again)
		}
		if c, err := parseCleanShutdown(text); err == nil {
			again, err := parseCleanShutdown(c.encode())
			require.NoError(t, err)
			require.Equal(t, c, again)
		}
		if m, err := parseMetaProperties(text); err == nil {
			again, err := parseMetaProperties(m.encode())
			require.NoError(t, err)
			require.Equal(t, m, again)
		}
	})
}
