package wire

import "unicode/utf8"

// The frames there are most of are objects of texts and lists of texts, and
// peers write them without blanks, without escapes and in ASCII. Such an object
// is called plain. It is read here in one pass, because encoding/json takes two
// and reflection, which is a tenth of what a message costs the broker. Whatever
// is not plain is left to encoding/json, and so is every judgement on it.

// A plainFrame takes its fields from a plain object.
type plainFrame interface {
	// setPlain takes a member, which is a value of readPlain's. It returns false
	// for a name it does not know, in this very spelling, and for a value of
	// another kind.
	setPlain(name, value []byte) bool
}

// readPlain calls member for each member of p with its name and its value as it
// stands there: a text with its quotes or a list, not empty, with its brackets.
// It returns false if p is not plain, or member has returned false.
func readPlain(p []byte, member func(name, value []byte) bool) bool {
	if len(p) == 0 || p[0] != '{' {
		return false
	}
	for {
		p = p[1:]
		n := plainText(p)
		if n == 0 || n == len(p) || p[n] != ':' {
			return false
		}
		name := p[1 : n-1]
		p = p[n+1:]
		n = plainValue(p)
		if n == 0 || n == len(p) || !member(name, p[:n]) {
			return false
		}
		p = p[n:]
		if p[0] != ',' {
			return string(p) == "}"
		}
	}
}

// plainValue returns the length of the text or list that p begins with, 0 if it
// does not or if that is not plain.
func plainValue(p []byte) int {
	if len(p) == 0 || p[0] != '[' {
		return plainText(p)
	}
	for i := 1; ; i++ {
		n := plainText(p[i:])
		i += n
		switch {
		case n == 0 || i == len(p):
			return 0
		case p[i] == ']':
			return i + 1
		case p[i] != ',':
			return 0
		}
	}
}

// plainText is plainValue for a text.
func plainText(p []byte) int {
	if len(p) == 0 || p[0] != '"' {
		return 0
	}
	for i := 1; i < len(p); i++ {
		switch c := p[i]; {
		case c == '"':
			return i + 1
		case c < 0x20 || c >= utf8.RuneSelf || c == '\\':
			return 0
		}
	}
	return 0
}

// setText takes a value that is a text.
func setText[T ~string](dst *T, value []byte) bool {
	if value[0] != '"' {
		return false
	}
	*dst = T(value[1 : len(value)-1])
	return true
}

// setTexts takes a value that is a list.
func setTexts(dst *[]string, value []byte) bool {
	if value[0] != '[' {
		return false
	}
	list := make([]string, 0, 4)
	for value[0] != ']' {
		value = value[1:]
		n := plainText(value)
		list = append(list, string(value[1:n-1]))
		value = value[n:]
	}
	*dst = list
	return true
}

func (s *Send) setPlain(name, value []byte) bool {
	switch string(name) {
	case "type", "_reqId":
		return true // the head's
	case "id":
		return setText(&s.ID, value)
	case "targetSpec":
		return setText(&s.TargetSpec, value)
	case "priority":
		return setText(&s.Priority, value)
	case "nonce":
		return setText(&s.Nonce, value)
	case "ciphertext":
		return setText(&s.Ciphertext, value)
	case "exclude":
		return setTexts(&s.Exclude, value)
	case "replyTo":
		return setText(&s.ReplyTo, value)
	case "receipt":
		return setText(&s.Receipt, value)
	}
	return false
}

func (a *ClientAck) setPlain(name, value []byte) bool {
	switch string(name) {
	case "type", "_reqId":
		return true // the head's
	case "messageIds":
		return setTexts(&a.MessageIDs, value)
	case "state":
		return setText(&a.State, value)
	}
	return false
}
