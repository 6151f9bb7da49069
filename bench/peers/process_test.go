package peers

import (
	"bufio"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A process is a node that can crash. It ends with the process that started it, however
// that one ends: a shell beside it waits for the end of its own input.
type process struct {
	shell *exec.Cmd
	stdin io.Closer
	pid   int
}

const watch = `"$@" </dev/null >/dev/null 2>&1 & echo $!; read _; kill -9 $! 2>/dev/null; exit 0`

func startProcess(tb testing.TB, env []string, command ...string) *process {
	p := &process{shell: exec.Command("sh", append([]string{"-c", watch, "sh"}, command...)...)}
	p.shell.Env = append(os.Environ(), env...)
	stdin, err := p.shell.StdinPipe()
	require.NoError(tb, err)
	stdout, err := p.shell.StdoutPipe()
	require.NoError(tb, err)
	require.NoError(tb, p.shell.Start())
	p.stdin = stdin
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(tb, err)
	p.pid, err = strconv.Atoi(strings.TrimSpace(line))
	require.NoError(tb, err)
	return p
}

// kill crashes the node.
func (p *process) kill() { _ = syscall.Kill(p.pid, syscall.SIGKILL) }

// end kills it, if that has not happened, and waits for the shell.
func (p *process) end() {
	p.stdin.Close()
	_ = p.shell.Wait()
}
