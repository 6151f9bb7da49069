package kafka

import (
	"bytes"
	"errors"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// classpath asks for the class path of Apache Kafka's programs, once.
var classpath = sync.OnceValues(func() (string, error) {
	out, err := exec.Command("./classpath.sh").Output()
	if e := (*exec.ExitError)(nil); errors.As(err, &e) {
		return "", errors.New(strings.TrimSpace(string(e.Stderr)))
	}
	return strings.TrimSpace(string(out)), err
})

// kafka is that class path. Where it cannot be had, the test is skipped.
func kafka(t *testing.T) string {
	t.Helper()
	jars, err := classpath()
	if err != nil {
		t.Skipf("Apache Kafka's tools are left out: %v", err)
	}
	return jars
}

// dumpTool runs DumpLogSegments on files. Its output holds its standard error too.
func dumpTool(t *testing.T, files []string, flags ...string) (out string, complaints []string) {
	t.Helper()
	args := append([]string{"-Xmx512m", "-cp", kafka(t), "kafka.tools.DumpLogSegments"}, flags...)
	cmd := exec.CommandContext(t.Context(), "java", append(args, "--files", strings.Join(files, ","))...)
	var both bytes.Buffer
	cmd.Stdout, cmd.Stderr = &both, &both
	err := cmd.Run()
	complaints = complaintsIn(both.String())
	if err != nil && len(complaints) == 0 {
		complaints = []string{err.Error() + ": " + both.String()}
	}
	return both.String(), complaints
}

// complaint is what the tool, or the code of Kafka's that it calls, says of files that
// are not as they should be.
var complaint = regexp.MustCompile(`(?i)exception|mismatch|out of order|not found|non-consecutive|invalid|isvalid: false|corrupt|error|could not|ignoring unknown`)

// fine is what looks like a complaint and is none.
var fine = regexp.MustCompile(`isvalid: true|passed sanity check`)

func complaintsIn(out string) (found []string) {
	for line := range strings.Lines(out) {
		if strings.HasPrefix(line, "| offset:") || strings.HasPrefix(line, "Dumping ") {
			continue // a record may say what it wants, and so may a directory
		}
		if complaint.MatchString(fine.ReplaceAllString(line, "")) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}

// A record, as the tool prints it.
type record struct {
	offset         int64
	timestamp      int64
	key, value     string
	hasKey, hasVal bool
	headers        string
}

var recordLine = regexp.MustCompile(`^\| offset: (\d+) (?:CreateTime|LogAppendTime): (-?\d+) keySize: (-?\d+) valueSize: (-?\d+)(?: sequence: -?\d+)? headerKeys: \[(.*?)\](.*)$`)

// recordsIn returns the records that a dump shows, by file.
func recordsIn(t *testing.T, out string) map[string][]record {
	t.Helper()
	files, file := map[string][]record{}, ""
	for line := range strings.Lines(out) {
		line = strings.TrimSuffix(line, "\n")
		if name, ok := strings.CutPrefix(line, "Dumping "); ok {
			file = name
			files[file] = nil
		}
		if !strings.HasPrefix(line, "| offset:") {
			continue
		}
		m := recordLine.FindStringSubmatch(line)
		require.NotNil(t, m, "%q", line)
		offset, err1 := strconv.ParseInt(m[1], 10, 64)
		timestamp, err2 := strconv.ParseInt(m[2], 10, 64)
		require.NoError(t, errors.Join(err1, err2))
		r := record{offset: offset, timestamp: timestamp, headers: m[5], hasKey: m[3] != "-1", hasVal: m[4] != "-1"}
		rest := m[6]
		if r.hasVal {
			before, value, ok := strings.Cut(rest, " payload: ")
			require.True(t, ok, "%q", line)
			rest, r.value = before, value
		}
		if r.hasKey {
			r.key = strings.TrimPrefix(rest, " key: ")
		}
		files[file] = append(files[file], r)
	}
	return files
}
