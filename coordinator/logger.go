package coordinator

import (
	"context"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// raftLogger hands what Raft logs to slog.
type raftLogger struct {
	hclog.Logger // says nothing; what is not below is of no interest
	to           *slog.Logger
}

func newRaftLogger(to *slog.Logger) hclog.Logger {
	return raftLogger{hclog.NewNullLogger(), to}
}

func (l raftLogger) Debug(msg string, args ...any) { l.log(slog.LevelDebug, msg, args) }
func (l raftLogger) Info(msg string, args ...any)  { l.log(slog.LevelInfo, msg, args) }
func (l raftLogger) Warn(msg string, args ...any)  { l.log(slog.LevelWarn, msg, args) }
func (l raftLogger) Error(msg string, args ...any) { l.log(slog.LevelError, msg, args) }

func (l raftLogger) With(args ...any) hclog.Logger { return raftLogger{l.Logger, l.to.With(args...)} }
func (l raftLogger) Named(string) hclog.Logger     { return l }

func (l raftLogger) log(level slog.Level, msg string, args []any) {
	if !l.to.Enabled(context.Background(), level) {
		return
	}
	l.to.Log(context.Background(), level, "raft: "+msg, args...)
}
