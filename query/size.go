package query

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// sizeUnits are the units of ParseSize, each 1024 times the one before.
const sizeUnits = "KMGTP"

// ParseSize reads a number of octets: "300", "64k", "25M", "1.5G". K, M, G, T, P are
// powers of 1024, in any case; "B" or "iB" may follow.
func ParseSize(text string) (int64, error) {
	bad := fmt.Errorf("%q is no size; write octets, or a number with K, M, G or T, as in \"25M\"", text)
	number := strings.ToUpper(strings.TrimSpace(text))
	number = strings.TrimSuffix(number, "B")
	if n := len(number); n > 1 && number[n-1] == 'I' && strings.IndexByte(sizeUnits, number[n-2]) >= 0 {
		number = number[:n-1]
	}
	unit := int64(1)
	if n := len(number); n > 0 {
		if i := strings.IndexByte(sizeUnits, number[n-1]); i >= 0 {
			unit = 1 << (10 * (i + 1))
			number = strings.TrimSpace(number[:n-1])
		}
	}
	whole, fraction, isFraction := strings.Cut(number, ".")
	if !digits(whole) || isFraction && (!digits(fraction) || unit == 1) {
		return 0, bad
	}
	n, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || n > math.MaxInt64/unit {
		return 0, bad
	}
	n *= unit
	if isFraction {
		f, err := strconv.ParseFloat("0."+fraction, 64)
		if err != nil {
			return 0, bad
		}
		part := int64(f * float64(unit))
		if n > math.MaxInt64-part {
			return 0, bad
		}
		n += part
	}
	return n, nil
}

// FormatSize writes n octets so that ParseSize reads n again: in the largest
// unit that divides it.
func FormatSize(n int64) string {
	unit := ""
	for i := 0; i < len(sizeUnits) && n != 0 && n%1024 == 0; i++ {
		n /= 1024
		unit = sizeUnits[i : i+1]
	}
	return strconv.FormatInt(n, 10) + unit
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
