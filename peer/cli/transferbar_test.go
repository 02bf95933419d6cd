package cli

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestATransferShowsHowFarItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := terminal(t, "TERM", "dumb", "COLUMNS", "120")
		f.Now = time.Now
		bar, done := f.transfer("sharing big.iso")
		time.Sleep(2 * time.Second)
		bar.moved(3<<20, 4<<20)
		time.Sleep(time.Second)
		synctest.Wait()
		if s := f.stderr.String(); !strings.Contains(s, "sharing big.iso  [##################------] 75 %  3.0 MiB of 4.0 MiB  1.0 MiB/s") {
			t.Errorf("%q", s)
		}
		done()
		if s := f.stderr.String(); !strings.HasSuffix(s, " \r") {
			t.Errorf("it is left there: %q", s)
		}
	})
	for _, c := range []struct {
		done, total int64
		want        string
	}{{0, 0, "x"}, {0, 10, "x"}, {2048, 0, "2.0 KiB"}, {20, 10, "100 %"}, {1 << 31, 1 << 31, "2.0 GiB of 2.0 GiB"}} {
		bar := &transferBar{what: "x", begun: time.Now(), now: time.Now}
		bar.moved(c.done, c.total)
		if s := bar.String(); !strings.Contains(s, c.want) || strings.Contains(s, "NaN") {
			t.Errorf("%d of %d: %q", c.done, c.total, s)
		}
	}
}
