// One program for the tests of servers: the service that is deployed, its health check, a load that counts every lost
// request, and a registry that answers every manifest with 429. Its settings are in the environment, see app.go.
package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

func main() {
	word := ""
	if len(os.Args) > 1 {
		word = os.Args[1]
	}
	switch word {
	case "health":
		health()
	case "load":
		load(os.Args[2:])
	case "get":
		get(os.Args[2])
	case "limited":
		limited(os.Args[2])
	case "job":
		time.Sleep(ms("READY_AFTER"))
		os.Exit(number("EXIT"))
	default:
		serve()
	}
}

// get prints the body of one answer, and ends with 1 where it is not 200.
func get(url string) {
	client := http.Client{Timeout: 5 * time.Second}
	answer, err := client.Get(url)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	body, _ := io.ReadAll(answer.Body)
	fmt.Print(string(body))
	if answer.StatusCode != 200 {
		fmt.Fprintln(os.Stderr, answer.Status)
		os.Exit(1)
	}
}

// limited is a registry at its rate limit.
func limited(address string) {
	text := `{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}`
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Docker-Distribution-Api-Version", "registry/2.0")
		if strings.Contains(r.URL.Path, "/manifests/") {
			w.WriteHeader(429)
			fmt.Fprint(w, text)
			return
		}
		fmt.Fprint(w, "{}")
	})
	fmt.Println(http.ListenAndServe(address, handler))
	os.Exit(1)
}
