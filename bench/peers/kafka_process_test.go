package peers

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// classpath is Apache Kafka's, as compat/kafka finds it, or an error that says why there
// is none.
var classpath = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("../../compat/kafka/classpath.sh").Output()
	if e := (*exec.ExitError)(nil); errors.As(err, &e) {
		return "", errors.New(strings.TrimSpace(string(e.Stderr)))
	}
	return strings.TrimSpace(string(out)), err
})

// jvm is how Kafka's own start script runs a broker.
var jvm = strings.Fields("-Xmx1G -Xms1G -server -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -XX:InitiatingHeapOccupancyPercent=35 -XX:+ExplicitGCInvokesConcurrent -Djava.awt.headless=true")

// kafkaNodes are three nodes in KRaft mode, broker and controller in one process each, all
// settings Kafka's own.
type kafkaNodes struct {
	addrs     []string
	configs   []string
	processes []*process
}

func startKafka(tb testing.TB) *kafkaNodes {
	dir, err := os.MkdirTemp("", "kafka") // outlives the benchmark that starts it
	require.NoError(tb, err)
	atEnd(func() { os.RemoveAll(dir) })
	k, ports := &kafkaNodes{}, freePorts(tb, 6)
	var voters []string
	for i := range 3 {
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", i+1, ports[3+i]))
		k.addrs = append(k.addrs, fmt.Sprintf("127.0.0.1:%d", ports[i]))
	}
	for i := range 3 {
		logs := filepath.Join(dir, fmt.Sprintf("node-%d", i+1))
		config := filepath.Join(dir, fmt.Sprintf("node-%d.properties", i+1))
		require.NoError(tb, os.WriteFile(config, fmt.Appendf(nil, `process.roles=broker,controller
node.id=%d
controller.quorum.voters=%s
listeners=PLAINTEXT://%s,CONTROLLER://127.0.0.1:%d
advertised.listeners=PLAINTEXT://%[3]s
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs=%[5]s
`, i+1, strings.Join(voters, ","), k.addrs[i], ports[3+i], logs), 0o644))
		k.configs = append(k.configs, config)
		if i == 0 {
			format(tb, config)
		} else {
			copyFormat(tb, filepath.Join(dir, "node-1"), logs, i+1)
		}
	}
	for i := range 3 {
		k.processes = append(k.processes, k.run(tb, i))
	}
	atEnd(k.end)
	return k
}

// run starts a node.
func (k *kafkaNodes) run(tb testing.TB, i int) *process {
	jars, err := classpath()
	require.NoError(tb, err)
	command := append(append([]string{"java"}, jvm...), "-cp", jars, "kafka.Kafka", k.configs[i])
	return startProcess(tb, nil, command...)
}

func (k *kafkaNodes) end() {
	for _, p := range k.processes {
		p.end()
	}
}

func format(tb testing.TB, config string) {
	jars, err := classpath()
	require.NoError(tb, err)
	out, err := exec.Command("java", "-cp", jars, "kafka.tools.StorageTool", "format", "-t", newUUID(), "-c", config).CombinedOutput()
	require.NoError(tb, err, "%s", out)
}

// copyFormat gives another node what formatting gave the first, which takes a JVM.
func copyFormat(tb testing.TB, from, to string, id int) {
	require.NoError(tb, os.CopyFS(to, os.DirFS(from)))
	file := filepath.Join(to, "meta.properties")
	text, err := os.ReadFile(file)
	require.NoError(tb, err)
	text = regexp.MustCompile(`(?m)^node\.id=.*$`).ReplaceAll(text, fmt.Appendf(nil, "node.id=%d", id))
	text = regexp.MustCompile(`(?m)^directory\.id=.*$`).ReplaceAll(text, []byte("directory.id="+newUUID()))
	require.NoError(tb, os.WriteFile(file, text, 0o644))
}

// newUUID is one as Kafka writes it.
func newUUID() string {
	var id [16]byte
	_, _ = rand.Read(id[:])
	id[0] &= 0x7f // none that begins with a dash
	return base64.RawURLEncoding.EncodeToString(id[:])
}
