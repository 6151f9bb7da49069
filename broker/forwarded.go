package broker

import (
	"context"
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/brokersim/brokersim/metadata"
	"github.com/brokersim/brokersim/wire"
)

// Bounds of how long an admin request may take, whatever its timeout says. Too
// short a time would only make the outcome unknown.
const (
	minAdminWait   = time.Second
	maxAdminWait   = time.Minute
	autoCreateWait = 2 * time.Second
	settleWait     = 5 * time.Second // for this broker's own image
)

// adminTimeout bounds the context of an admin request by the timeout in it.
func adminTimeout(ctx context.Context, millis int32) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, min(max(minAdminWait, time.Duration(millis)*time.Millisecond), maxAdminWait))
}

// forwarded sends an admin request to the active coordinator and returns its
// answer, or what went wrong as a code for every item of the request.
func (b *Broker) forwarded(ctx context.Context, req kmsg.Request) (kmsg.Response, int16) {
	resp, err := b.forward(ctx, req)
	switch {
	case err == nil:
		return resp, 0
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return nil, kerr.RequestTimedOut.Code
	}
	b.cfg.Logger.Warn("an admin request failed", "api", kmsg.NameForKey(req.Key()), "error", err)
	return nil, wire.Code(err)
}

// settle waits until this broker's own image shows what the coordinator did, so
// that whoever asks this broker next finds it. Nothing is lost if that takes too
// long: the answer is true all the same.
func (b *Broker) settle(ctx context.Context, done func(*metadata.Image) bool) {
	ctx, cancel := context.WithTimeout(ctx, settleWait)
	defer cancel()
	if err := b.until(ctx, done); err != nil {
		b.cfg.Logger.Warn("the metadata log is late", "error", err)
	}
}
