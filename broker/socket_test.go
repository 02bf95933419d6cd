package broker

import (
	"errors"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func TestASocketMayBeSlowButNotStandStill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		defer theirs.Close()
		s := &socket{Conn: ours}
		read := make(chan error, 1)
		go func() {
			for range 10 {
				time.Sleep(writeTimeout - time.Second)
				if _, err := theirs.Read(make([]byte, 1)); err != nil {
					read <- err
					return
				}
			}
			read <- nil
		}()
		if n, err := s.Write(make([]byte, 10)); n != 10 || err != nil {
			t.Errorf("%d of 10 bytes are written: %v", n, err)
		}
		if err := <-read; err != nil {
			t.Error(err)
		}
		if n, err := s.Write(make([]byte, 10)); n != 0 || !errors.Is(err, errTimeout) {
			t.Errorf("%d bytes are written to who takes none: %v", n, err)
		}
	})
}
