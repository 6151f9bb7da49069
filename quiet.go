package brokersim

import (
	"context"
	"log/slog"
)

// A quietHandler logs until its node has ended: what the dead still complain about
// is of no use to anybody.
type quietHandler struct {
	slog.Handler
	ended func() bool
}

func (h quietHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return !h.ended() && h.Handler.Enabled(ctx, level)
}

func (h quietHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quietHandler{h.Handler.WithAttrs(attrs), h.ended}
}

func (h quietHandler) WithGroup(name string) slog.Handler {
	return quietHandler{h.Handler.WithGroup(name), h.ended}
}
