package bench

import (
	"bufio"
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

// serveSockets serves WebSockets with handle and returns the URL.
func serveSockets(t *testing.T, handle func(*websocket.Conn, *http.Request)) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		ws.SetReadLimit(1 << 20)
		defer ws.CloseNow()
		handle(ws, r)
	}))
	t.Cleanup(srv.Close)
	return "ws" + strings.TrimPrefix(srv.URL, "http")
}

func TestSocketSpeaksWithAnotherImplementation(t *testing.T) {
	url := serveSockets(t, func(ws *websocket.Conn, r *http.Request) {
		for {
			kind, p, err := ws.Read(r.Context())
			if err != nil || ws.Write(r.Context(), kind, p) != nil {
				return
			}
		}
	})
	s, err := dialSocket(t.Context(), url, 512)
	if err != nil {
		t.Fatal(err)
	}
	defer s.hangUp()
	sizes := []int{1, 125, 126, 500, 513, 65535, 65536, 200_000, 2}
	for _, n := range sizes { // gathered
		s.add(bytes.Repeat([]byte("a"), n))
	}
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	for _, n := range sizes {
		p, err := s.next()
		if err != nil || !bytes.Equal(p, bytes.Repeat([]byte("a"), n)) {
			t.Fatalf("a frame of %d bytes came back as %d: %v", n, len(p), err)
		}
	}
}

func TestSocketAnswersPingsAndTellsWhyItWasClosed(t *testing.T) {
	pinged := make(chan error, 1)
	url := serveSockets(t, func(ws *websocket.Conn, r *http.Request) {
		ctx := ws.CloseRead(r.Context())
		pinged <- ws.Ping(ctx)
		ws.Close(4002, "slow consumer")
	})
	s, err := dialSocket(t.Context(), url, 512)
	if err != nil {
		t.Fatal(err)
	}
	defer s.conn.Close()
	_, err = s.next()
	if err := <-pinged; err != nil {
		t.Errorf("the ping was not answered: %v", err)
	}
	if !errors.Is(err, errGone) || !strings.Contains(err.Error(), "4002 slow consumer") {
		t.Errorf("next: %v", err)
	}
}

func TestSocketRefusesWhatIsNoWebSocket(t *testing.T) {
	srv := httptest.NewServer(http.NotFoundHandler())
	defer srv.Close()
	if _, err := dialSocket(t.Context(), "ws"+strings.TrimPrefix(srv.URL, "http"), 512); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("dial: %v", err)
	}
}

func FuzzSocketReadsWhateverComes(f *testing.F) {
	f.Add([]byte{0x81, 1, 'x'})
	f.Add([]byte{0x81, 126, 1, 0})
	f.Add([]byte{0x81, 127, 0, 0, 0, 0, 0, 0, 1, 0})
	f.Add([]byte{0x81, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0x88, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		s := &socket{r: bufio.NewReaderSize(bytes.NewReader(data), 64)}
		got := 0
		for {
			_, p, err := s.read()
			if err != nil {
				return
			}
			if got += len(p) + 2; got > len(data) {
				t.Fatalf("%d bytes became frames of %d", len(data), got)
			}
		}
	})
}
