package main

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// post posts a text to a URL, as a service outside of the mesh does, and prints
// the status and the answer: post URL TEXT [HEADER VALUE]...
func post(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 || len(args)%2 != 0 {
		ts.Fatalf("usage: post URL TEXT [HEADER VALUE]...")
	}
	req, err := http.NewRequest(http.MethodPost, args[0], strings.NewReader(args[1]))
	ts.Check(err)
	req.Close = true // a broker that was restarted is not asked on a connection to the one before
	for i := 2; i < len(args); i += 2 {
		req.Header.Set(args[i], args[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	ts.Check(err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	ts.Check(err)
	fmt.Fprintf(ts.Stdout(), "%d %s", res.StatusCode, text)
	if ok := res.StatusCode == http.StatusOK; ok == neg {
		ts.Fatalf("answered %d %s", res.StatusCode, text)
	}
}
