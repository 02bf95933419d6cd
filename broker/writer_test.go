package broker

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestMessagesOfAnySizeAreWrittenBetweenControlFrames(t *testing.T) {
	var frames []frame
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 200_000, 3} {
		frames = append(frames, frame{kind: answer, data: bytes.Repeat([]byte("x"), n)})
	}
	failed := make(chan error, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hj := &smallHijacker{ResponseWriter: w}
		ws, err := websocket.Accept(hj, r, nil)
		if err != nil {
			failed <- err
			return
		}
		defer ws.CloseNow()
		go ws.Reader(context.Background()) // takes the pongs
		ctx, cancel := context.WithTimeout(r.Context(), 30*time.Second)
		defer cancel()
		c := &conn{ws: ws, socket: hj.conn}
		for range 3 {
			if err = ws.Ping(ctx); err == nil {
				err = c.write(frames)
			}
			if err != nil {
				failed <- err
				return
			}
		}
		failed <- ws.Ping(ctx) // waits until all was read
	}))
	defer srv.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, srv.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer ws.CloseNow()
	ws.SetReadLimit(1 << 20)
	for i := range 3 * len(frames) {
		kind, p, err := ws.Read(ctx)
		if want := frames[i%len(frames)].data; err != nil || kind != websocket.MessageText || !bytes.Equal(p, want) {
			t.Fatal(fmt.Sprintf("message %d has %d bytes, want %d:", i, len(p), len(want)), err)
		}
	}
	go ws.Read(ctx) // answers the last ping
	if err := <-failed; err != nil {
		t.Error(err)
	}
}
