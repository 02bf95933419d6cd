package broker

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// A byteSize is a flag for a number of bytes, such as 500MiB.
type byteSize int64

// byteUnits are what may follow the number, the largest first.
func byteUnits() []struct {
	name string
	size int64
} {
	return []struct {
		name string
		size int64
	}{{"TiB", 1 << 40}, {"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}}
}

func (b *byteSize) String() string { return sizeText(int64(*b)) }

// sizeText writes a number of bytes in the largest unit that fits it evenly.
func sizeText(n int64) string {
	for _, u := range byteUnits() {
		if n >= u.size && n%u.size == 0 {
			return strconv.FormatInt(n/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(n, 10)
}

// roughSize writes a number of bytes for people.
func roughSize(n int64) string {
	for _, u := range byteUnits() {
		if n >= u.size {
			return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/float64(u.size)), ".0") + " " + u.name
		}
	}
	return fmt.Sprintf("%d bytes", n)
}

// Set implements flag.Value.
func (b *byteSize) Set(s string) error {
	unit := int64(1)
	for _, u := range byteUnits() {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			s, unit = rest, u.size
			break
		}
	}
	n, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return errors.New("it is a number of bytes, such as 500MiB or 10GiB")
	}
	*b = byteSize(n * unit)
	return nil
}
