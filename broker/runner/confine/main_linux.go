package confine

import (
	"fmt"
	"os"
	"runtime"
)

// arg0 is the name under which this program is started as a part of a cell.
const arg0 = "claudemesh-cell"

// Main is called first in main: where the process was started as a part of
// a cell it does that part and does not return.
func Main() {
	if len(os.Args) != 2 || os.Args[0] != arg0 {
		return
	}
	runtime.LockOSThread()
	var err error
	code := 126
	switch os.Args[1] {
	case "supervise":
		code, err = supervise()
	case "enter":
		err = enter()
	case "hold":
		code, err = hold()
	case "nothing":
		code = 0
	case "probe":
		code, err = 0, probeInside()
		if err != nil {
			code = 1
		}
	default:
		err = fmt.Errorf("unknown part %q", os.Args[1])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "claudemesh:", err)
	}
	os.Exit(code)
}
