package pagoda_test

import (
	"context"
	"fmt"
	"log"

	"github.com/pagoda-go/pagoda"
)

// Four bags from the embedded model, always the same ones.
func Example() {
	model, err := pagoda.Default()
	if err != nil {
		log.Fatal(err)
	}
	defer model.Close()
	bag, err := model.Info().Class("bag")
	if err != nil {
		log.Fatal(err)
	}
	pictures, err := model.Generate(context.Background(), pagoda.Request{N: 4, Classes: []int{bag}, Seed: 1})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(len(pictures), "pictures of", pictures[0].Bounds().Size())
	// Output: 4 pictures of (32,32)
}
