// Command find prints the folder of the PostgreSQL that pgserver would run, and
// fails if the machine has none.
package main

import (
	"context"
	"fmt"
	"os"

	"gatehouse.dev/libs/pgserver"
)

func main() {
	b, err := pgserver.Find(context.Background(), pgserver.Places(), 0)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(b.Dir)
}
