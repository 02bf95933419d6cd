package broker

import (
	"os"
	"testing"

	"claudemesh/broker/runner/confine"
)

// TestMain lets services be confined, which starts this program again.
func TestMain(m *testing.M) {
	confine.Main()
	os.Exit(m.Run())
}
