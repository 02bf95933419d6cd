package bench

// A ledger is a receiver's account of what came: each message once, those of
// one sender in their order.
type ledger struct {
	from map[uint32]*account
	// Unique counts the different messages, Twice those that had come before,
	// Disordered those that came after a later one of their sender, Broken
	// those that could not be read.
	Unique, Twice, Disordered, Broken int
}

// An account is what came from one sender.
type account struct {
	seen []uint64 // a bit for each number
	last uint32   // the highest number so far
	any  bool
}

// enter notes a message and reports whether it is new.
func (l *ledger) enter(n note) bool {
	if l.from == nil {
		l.from = make(map[uint32]*account)
	}
	a := l.from[n.sender]
	if a == nil {
		a = &account{}
		l.from[n.sender] = a
	}
	word, bit := int(n.seq/64), uint64(1)<<(n.seq%64)
	for word >= len(a.seen) {
		a.seen = append(a.seen, 0)
	}
	if a.seen[word]&bit != 0 {
		l.Twice++
		return false
	}
	a.seen[word] |= bit
	l.Unique++
	if a.any && n.seq < a.last {
		l.Disordered++
	} else {
		a.last, a.any = n.seq, true
	}
	return true
}
