package story

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/brokersim/brokersim"
)

// An Outcome is what a story comes to: its last line, and whether every promise
// was kept.
type Outcome interface {
	fmt.Stringer
	OK() bool
}

// Main tells a story on standard output, its verdict in the last line, and ends
// the process: with status 1 if the story broke off or a promise was broken.
func Main[V Outcome](name string, run func(context.Context, io.Writer, ...brokersim.Option) (V, error)) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	verdict, err := run(ctx, os.Stdout)
	cancel()
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
	fmt.Println(verdict)
	if !verdict.OK() {
		os.Exit(1)
	}
}
