package broker

import (
	"slices"
	"sync"
)

// failures are the requests that are to be answered with an error, for tests of
// clients. The zero value fails nothing.
type failures struct {
	mu   sync.Mutex
	list []*failure // in the order in which they were asked for
}

type failure struct {
	key, code int16
	left      int // requests still to be failed
}

// FailNext answers the next n requests with this API key with the error code, in
// every partition of the answer and in the top-level field where there is one;
// the request has no effect. The returned function ends it early. Several calls
// for one key are served one after the other.
func (b *Broker) FailNext(key, code int16, n int) (heal func()) {
	fs := &b.apis.failing
	f := &failure{key, code, n}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if n > 0 && code != 0 {
		fs.list = append(fs.list, f)
	}
	return func() {
		fs.mu.Lock()
		defer fs.mu.Unlock()
		fs.remove(f)
	}
}

// take returns the code that the next request with this key is to be failed
// with; 0 if it is to be served.
func (fs *failures) take(key int16) int16 {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, f := range fs.list {
		if f.key != key {
			continue
		}
		if f.left--; f.left == 0 {
			fs.remove(f)
		}
		return f.code
	}
	return 0
}

func (fs *failures) remove(f *failure) {
	if i := slices.Index(fs.list, f); i >= 0 {
		fs.list = slices.Delete(fs.list, i, i+1)
	}
}
