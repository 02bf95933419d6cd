package confine

import (
	"strings"
	"testing"
	"time"
)

func TestProcessorsAreLimited(t *testing.T) {
	c := New(t.Context(), Options{})
	cell := playing(t, "spin", "1000")
	cell.Limits.CPUs = 0.25
	if !c.can.cpu {
		if err := c.Check(cell.Limits); err == nil || !strings.Contains(err.Error(), "cpus cannot be enforced") {
			t.Errorf("%v", err)
		}
		t.Skip("processors cannot be limited here: ", c.can.noCPU())
	}
	p, err := c.Command(t.Context(), cell)
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := p.Run(); err != nil {
		t.Error(err)
	}
	took := time.Since(began)
	p.Close()
	used := p.ProcessState.UserTime() + p.ProcessState.SystemTime()
	// What the supervisor takes is not limited.
	if used < time.Second || took < 3*time.Second {
		t.Errorf("it used %v in %v", used, took)
	}
}
