package event

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func upTo(l *Log, since uint64, n int) (events []Event) {
	for e := range l.Since(context.Background(), since) {
		if events = append(events, e); len(events) == n {
			break
		}
	}
	return events
}

func TestEventsAreNumberedAndTimed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLog(8)
		l.Emit(Event{Kind: BrokerStarted}, Event{Kind: BrokerKilled})
		time.Sleep(time.Second)
		at := time.Now().Add(-time.Minute)
		l.Emit(Event{Kind: BrokerStarted}, Event{Kind: BrokerKilled, Time: at})
		events := upTo(l, 0, 4)
		require.Equal(t, []uint64{1, 2, 3, 4}, seqs(events))
		require.Equal(t, time.Second, events[2].Time.Sub(events[0].Time))
		require.Equal(t, at, events[3].Time)
		require.Equal(t, uint64(4), l.Last())
	})
}

func TestCausesAreFoundByKey(t *testing.T) {
	l := NewLog(16)
	l.Emit(
		Event{Kind: BrokerKilled, Node: "broker-2", Key: ProcessKey("broker-2")},
		Event{Kind: BrokerGone, Key: SessionKey(2, 7), Because: []Key{ProcessKey("broker-2")}},
		Event{Kind: BrokerFenced, Key: RegistrationKey(2, 7), Because: []Key{SessionKey(2, 7)}},
		Event{Kind: LeaderElected, Key: LeaderKey("orders", 0, 4), Because: []Key{"nobody knows this", RegistrationKey(2, 7)}},
		Event{Kind: LogTruncated, Because: []Key{LeaderKey("orders", 0, 4), ProcessKey("broker-2")}},
		Event{Kind: LogTruncated, Because: []Key{LeaderKey("orders", 0, 5)}},
	)
	l.Emit(Event{Kind: FaultInjected, Key: FaultKey(1), Also: ProcessKey("broker-2")})
	l.Emit(Event{Kind: SessionExpired, Because: []Key{ProcessKey("broker-2")}})
	l.Emit(Event{Kind: FaultHealed, Because: []Key{FaultKey(1)}})
	var causes []uint64
	for _, e := range l.Newest(16) {
		causes = append(causes, e.Cause)
	}
	require.Equal(t, []uint64{0, 1, 2, 3, 4, 0, 0, 7, 7}, causes)
}

func TestKeysAreForgottenWithTheirEvents(t *testing.T) {
	l := NewLog(4)
	for i := range 1000 {
		l.Emit(Event{Kind: LeaderElected, Key: LeaderKey("orders", 0, int32(i))})
	}
	require.LessOrEqual(t, len(l.keys), 2*4)
	l.Emit(Event{Kind: LogTruncated, Because: []Key{LeaderKey("orders", 0, 999)}})
	require.Equal(t, uint64(1000), l.Newest(1)[0].Cause)
}

// Every coordinator node applies every entry; the first is heard.
func TestEmitAtIsHeardOnce(t *testing.T) {
	l := NewLog(8)
	for range 3 {
		l.EmitAt(5, Event{Kind: BrokerFenced}, Event{Kind: LeaderElected})
		l.EmitAt(6, Event{Kind: BrokerUnfenced})
	}
	l.EmitAt(4, Event{Kind: TopicCreated})
	require.Equal(t, uint64(3), l.Last())
}

func TestSlowReaderIsToldWhatItLost(t *testing.T) {
	l := NewLog(4)
	for range 10 {
		l.Emit(Event{Kind: BrokerStarted, Part: -1})
	}
	events := upTo(l, 2, 5)
	require.Equal(t, Lost, events[0].Kind)
	require.Equal(t, uint64(4), events[0].Data["count"], "3 to 6")
	require.Equal(t, []uint64{6, 7, 8, 9, 10}, seqs(events))
	require.Equal(t, Lost, upTo(l, 0, 1)[0].Kind)
	require.Equal(t, []uint64{7, 8, 9, 10}, seqs(upTo(l, 6, 4)), "the ring goes back exactly so far")
	require.Equal(t, []uint64{9, 10}, seqs(l.Newest(2)))
	require.Len(t, l.Newest(100), 4)
}

func TestReadersWaitAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := NewLog(8)
		var got []uint64
		var wg sync.WaitGroup
		wg.Go(func() {
			for e := range l.Since(context.Background(), 0) {
				got = append(got, e.Seq)
			}
		})
		ctx, cancel := context.WithCancel(context.Background())
		wg.Go(func() {
			for range l.Since(ctx, 0) {
			}
		})
		synctest.Wait()
		l.Emit(Event{Kind: BrokerStarted})
		synctest.Wait()
		require.Equal(t, []uint64{1}, got)
		cancel()
		l.Emit(Event{Kind: BrokerStarted})
		l.Close()
		l.Close()
		l.Emit(Event{Kind: BrokerStarted})
		wg.Wait()
		require.Equal(t, []uint64{1, 2}, got, "what is emitted after Close is dropped")
		require.Equal(t, []uint64{1, 2}, seqs(slices.Collect(l.Since(context.Background(), 0))))
		<-l.Changed()
	})
}

func TestChangedClosesAtTheNextEvent(t *testing.T) {
	l := NewLog(8)
	changed := l.Changed()
	select {
	case <-changed:
		t.Fatal("nothing has happened")
	default:
	}
	l.Emit(Event{Kind: BrokerStarted})
	<-changed
}

func TestFrequentKindsOnRequest(t *testing.T) {
	l := NewLog(8)
	require.True(t, l.Wants(BrokerKilled))
	require.False(t, l.Wants(HWAdvanced))
	l.Emit(Event{Kind: HWAdvanced})
	require.Zero(t, l.Last())

	wake := l.WakeOn(HWAdvanced)
	require.True(t, l.Wants(HWAdvanced))
	changed := l.Changed()
	l.Emit(Event{Kind: HWAdvanced})
	<-changed
	require.Zero(t, l.Last(), "woken, not recorded")

	stop := l.Watch(HWAdvanced)
	wake()
	l.Emit(Event{Kind: HWAdvanced})
	require.Equal(t, uint64(1), l.Last())
	stop()
	stop()
	require.False(t, l.Wants(HWAdvanced))
}

func TestManyWritersAndReaders(t *testing.T) {
	l := NewLog(1 << 12)
	const writers, each = 8, 200
	var readers, emitters sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			next := uint64(1)
			for e := range l.Since(context.Background(), 0) {
				if e.Seq != next {
					t.Errorf("event %d where %d was due", e.Seq, next)
				}
				next++
			}
			if next != writers*each+1 {
				t.Errorf("ended before event %d", next)
			}
		})
	}
	for w := range writers {
		emitters.Go(func() {
			for i := range each {
				l.Emit(Event{Kind: LeaderElected, Key: Key(fmt.Sprint(w, i))})
			}
		})
	}
	emitters.Wait()
	l.Close()
	readers.Wait()
}

func seqs(events []Event) []uint64 {
	var s []uint64
	for _, e := range events {
		s = append(s, e.Seq)
	}
	return s
}

// What an event costs when nobody reads, and what an unwanted one costs.
func BenchmarkEmit(b *testing.B) {
	l := NewLog(1 << 13)
	e := Event{Kind: LeaderElected, Topic: "orders", Key: LeaderKey("orders", 0, 1)}
	for b.Loop() {
		l.Emit(e)
	}
}

func BenchmarkUnwanted(b *testing.B) {
	l := NewLog(1 << 13)
	for b.Loop() {
		if l.Wants(HWAdvanced) {
			l.Emit(Event{Kind: HWAdvanced})
		}
	}
}
