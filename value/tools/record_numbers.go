// Command record_numbers prints what go-cty makes of random pairs of numbers; its output is tests/numbers.txt.
//
// In a folder with go-cty 1.16 required: go run record_numbers.go > numbers.txt
// Columns: a, b, whether a is taken as a double, whether b as a count, both as text, sum, difference, product, quotient,
// remainder, a with ten digits, the product's precision.
package main

import (
	"fmt"
	"math/rand"
	"strings"

	"github.com/zclconf/go-cty/cty"
)

func digits(random *rand.Rand) string {
	var out strings.Builder
	for range 1 + random.Intn(40) {
		out.WriteByte(byte('0' + random.Intn(10)))
	}
	return out.String()
}

func literal(random *rand.Rand) string {
	text := digits(random)
	if random.Intn(3) == 0 {
		text = "-" + text
	}
	if random.Intn(2) == 0 {
		text += "." + digits(random)
	}
	if random.Intn(4) == 0 {
		text += fmt.Sprintf("e%d", random.Intn(200)-100)
	}
	return text
}

func main() {
	random := rand.New(rand.NewSource(1))
	text := func(v cty.Value) string { return v.AsBigFloat().Text('f', -1) }
	for i := range 350 {
		a, b := literal(random), literal(random)
		x, y := cty.MustParseNumberVal(a), cty.MustParseNumberVal(b)
		asDouble, asCount := i%7 == 0, i%11 == 0
		if asDouble {
			f, _ := x.AsBigFloat().Float64()
			x = cty.NumberFloatVal(f)
		}
		if asCount {
			n, _ := y.AsBigFloat().Int64()
			y = cty.NumberIntVal(n % 1000000)
		}
		if y.AsBigFloat().Sign() == 0 {
			continue
		}
		product := x.Multiply(y)
		fmt.Println(a, b, asDouble, asCount, text(x), text(y), text(x.Add(y)), text(x.Subtract(y)), text(product),
			text(x.Divide(y)), text(x.Modulo(y)), x.AsBigFloat().String(), product.AsBigFloat().Prec())
	}
}
