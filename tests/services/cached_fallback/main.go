// Defect: what it answered while its dependency was down is cached for ever. A static program with Go's own resolver.
package main

import (
	"encoding/json"
	"log"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

type answer struct {
	Order    int  `json:"order"`
	Degraded bool `json:"degraded"`
}

var (
	client = http.Client{Timeout: 5 * time.Second}
	cached atomic.Bool
)

func stocked() bool {
	found, err := client.Get("http://stock.default/items/42")
	if err != nil {
		return false
	}
	defer found.Body.Close()
	return found.StatusCode == 200
}

func main() {
	http.HandleFunc("/", func(writer http.ResponseWriter, _ *http.Request) {
		degraded := cached.Load() || !stocked()
		if degraded && os.Getenv("MENDED") == "" {
			cached.Store(true)
		}
		json.NewEncoder(writer).Encode(answer{Order: 1, Degraded: degraded})
	})
	log.Fatal(http.ListenAndServe(":8080", nil))
}
