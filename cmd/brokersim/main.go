// Brokersim runs a whole cluster in one process for clients outside it.
//
//	brokersim up                       three coordinator nodes, three brokers on 127.0.0.1:9092..9094
//	brokersim up -n 5 -t orders:3:2    five brokers and a topic
//	brokersim up --data-dir ./data     a cluster that outlives the command
//
// Exit status: 0 after a clean stop, 1 if the cluster failed, 2 if it could not
// be started as asked.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run executes one command line. The first interrupt ends its context; a second
// one ends the process at once.
func run(args []string, out, errs io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the next signal finds nobody and kills
	return execute(ctx, args, out, errs)
}

func execute(ctx context.Context, args []string, out, errs io.Writer) int {
	root := &cobra.Command{
		Use:           "brokersim",
		Short:         "A whole Kafka-shaped cluster inside one process",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.AddCommand(upCommand())
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	said := strings.TrimPrefix(err.Error(), "brokersim: ") // the library's errors begin so, too
	fmt.Fprintf(errs, "brokersim: %s\n", strings.ReplaceAll(said, "\n", "; "))
	if failed := (*failure)(nil); errors.As(err, &failed) {
		return 1
	}
	return 2
}

// A failure is what went wrong after the cluster had started. All other errors
// say that it could not be started as asked.
type failure struct{ error }

func (f *failure) Unwrap() error { return f.error }
