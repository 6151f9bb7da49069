package brokersim

import (
	"net"
	"sync"
)

func closeAll(ls []net.Listener) {
	for _, l := range ls {
		l.Close()
	}
}

// join makes one listener of several. With more than one it has a goroutine for
// each, which Close joins.
func join(ls []net.Listener) net.Listener {
	if len(ls) == 1 {
		return ls[0]
	}
	j := &joined{ls: ls, conns: make(chan accepted), done: make(chan struct{})}
	for _, l := range ls {
		j.wg.Go(func() { j.accept(l) })
	}
	return j
}

type joined struct {
	ls    []net.Listener
	conns chan accepted
	done  chan struct{}
	once  sync.Once
	wg    sync.WaitGroup
}

type accepted struct {
	conn net.Conn
	err  error
}

func (j *joined) accept(l net.Listener) {
	for {
		conn, err := l.Accept()
		select {
		case j.conns <- accepted{conn, err}:
		case <-j.done:
			if err == nil {
				conn.Close()
			}
			return
		}
		if err != nil {
			return
		}
	}
}

func (j *joined) Accept() (net.Conn, error) {
	select {
	case a := <-j.conns:
		return a.conn, a.err
	case <-j.done:
		return nil, net.ErrClosed
	}
}

func (j *joined) Close() error {
	j.once.Do(func() {
		close(j.done)
		closeAll(j.ls)
		j.wg.Wait()
	})
	return nil
}

func (j *joined) Addr() net.Addr { return j.ls[0].Addr() }
