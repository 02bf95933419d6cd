package broker

import (
	"testing"

	"claudemesh/wire"
)

// newOutbox returns an outbox without a writer, whose test takes what it holds.
func newOutbox(maxBytes, maxFrames int, dropped, overflows *int) *outbox {
	return &outbox{
		maxBytes: maxBytes, maxFrames: maxFrames, start: func() {}, ended: make(chan struct{}),
		drop: func(_ kind, n int) { *dropped += n }, overflow: func() { *overflows++ },
	}
}

func TestWhatAnOutboxDropsAndKeeps(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name            string
		bytes, frames   int
		in              string // a: answer, d: durable, e: ephemeral, s: streamed; each of 10 bytes
		want            string
		drop, overflows int
	}{
		{"all fits", 100, 10, "adeade", "adeade", 0, 0},
		{"the oldest event makes room for an event", 30, 10, "eae" + "e", "aee", 1, 0},
		{"so do entries of streams", 30, 10, "sas" + "e", "ase", 1, 0},
		{"events make room for an answer", 30, 10, "eee" + "a", "eea", 1, 0},
		{"frames are bounded too", 1000, 3, "eae" + "a", "aea", 1, 0},
		{"an event that finds no room is dropped", 30, 10, "aaa" + "e", "aaa", 1, 0},
		{"an answer that finds no room is the end", 30, 10, "aaa" + "a", "aaa", 1, 1},
		{"messages are bounded elsewhere", 30, 3, "aaa" + "dd", "aaadd", 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var dropped, overflows int
			q := newOutbox(c.bytes, c.frames, &dropped, &overflows)
			kinds := map[rune]kind{'a': answer, 'd': durable, 'e': ephemeral, 's': streamed}
			for _, r := range c.in {
				q.push(frame{kind: kinds[r], data: make([]byte, 10)})
			}
			frames, _ := q.take(nil)
			var got string
			for _, f := range frames {
				got += string("ades"[f.kind])
			}
			if got != c.want || dropped != c.drop || overflows != c.overflows {
				t.Errorf("holds %s, %d dropped, %d overflows; want %s, %d, %d", got, dropped, overflows, c.want, c.drop, c.overflows)
			}
		})
	}
}

func TestNothingFollowsTheCloseFrame(t *testing.T) {
	t.Parallel()
	var dropped, overflows int
	q := newOutbox(100, 10, &dropped, &overflows)
	q.push(frame{kind: answer, data: []byte("last words")})
	q.finish(wire.CloseRevoked, "revoked")
	q.finish(wire.CloseShutdown, "too late")
	for _, k := range []kind{answer, durable, ephemeral} {
		if q.push(frame{kind: k}) {
			t.Errorf("a frame of kind %d is taken after the close", k)
		}
	}
	frames, ok := q.take(nil)
	if !ok || len(frames) != 2 || frames[0].kind != answer || frames[1].kind != closing || frames[1].code != wire.CloseRevoked {
		t.Errorf("it holds %+v", frames)
	}
	if _, ok := q.take(nil); ok {
		t.Error("it holds more")
	}
	select {
	case <-q.ended:
	default:
		t.Error("it has not ended with its writer")
	}
}
