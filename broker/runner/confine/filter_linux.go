package confine

// filterCalls is not there yet.
func filterCalls(bool) error { return nil }
