package store

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strconv"
	"time"
)

// bind turns Go values into those the driver takes. "" and the zero Time stay
// what they are for text columns; use null for those that may be NULL.
func (c *conn) bind(args []any) []driver.NamedValue {
	c.args = c.args[:0]
	for i, a := range args {
		var v driver.Value
		switch a := a.(type) {
		case int:
			v = int64(a)
		case Priority:
			v = int64(a)
		case State:
			v = int64(a)
		case bool:
			v = int64(0)
			if a {
				v = int64(1)
			}
		case time.Time:
			if !a.IsZero() {
				v = a.UnixMilli()
			}
		default:
			v = a
		}
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: v})
	}
	return c.args
}

// null is s, or NULL for "".
func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// A row holds the values of one row of a result.
type row []driver.Value

// scan copies the values into the variables that dest points at. NULL makes a
// variable zero.
func (r row) scan(dest ...any) error {
	if len(r) != len(dest) {
		return fmt.Errorf("store: %d columns for %d variables", len(r), len(dest))
	}
	for i, d := range dest {
		if !assign(d, r[i]) {
			return fmt.Errorf("store: column %d holds a %T where a %T is wanted", i, r[i], d)
		}
	}
	return nil
}

func assign(dest any, v driver.Value) bool {
	n, isInt := v.(int64)
	s, isText := v.(string)
	isNull := v == nil
	switch d := dest.(type) {
	case *int64:
		*d = n
		return isInt || isNull
	case *int:
		*d = int(n)
		return isInt || isNull
	case *Priority:
		*d = Priority(n)
		return isInt
	case *State:
		*d = State(n)
		return isInt
	case *float64:
		f, isReal := v.(float64)
		*d = f
		return isReal
	case *bool:
		*d = n != 0
		return isInt || isNull
	case *time.Time:
		*d = time.Time{}
		if isInt {
			*d = time.UnixMilli(n).UTC()
		}
		return isInt || isNull
	case *string:
		*d = s
		return isText || isNull
	case *[]byte:
		b, isBlob := v.([]byte)
		*d = b
		return isBlob || isNull
	case *[32]byte:
		b, isBlob := v.([]byte)
		return isBlob && len(b) == len(d) && copy(d[:], b) == len(d)
	case fromJSON:
		return isNull || isText && json.Unmarshal([]byte(s), d.into) == nil
	}
	return false
}

// fromJSON has a text column decoded into what into points at.
type fromJSON struct{ into any }

// toJSON is v as the text of a column.
func toJSON(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("store: %w", err)
	}
	return string(b), nil
}

// rawText is raw as the text of a column. What is no JSON is refused here,
// for nobody could read the row again.
func rawText(raw json.RawMessage) (string, error) {
	if len(raw) > 0 && !json.Valid(raw) {
		return "", fmt.Errorf("store: not JSON: %.40q", []byte(raw))
	}
	return string(raw), nil
}

// jsonList is a list of numbers as the argument of json_each.
func jsonList(list []int64) string {
	b := append(make([]byte, 0, 8*len(list)+2), '[')
	for i, n := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, n, 10)
	}
	return string(append(b, ']'))
}
