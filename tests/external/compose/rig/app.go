package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"
)

func number(name string) int {
	n, _ := strconv.Atoi(os.Getenv(name))
	return n
}

func ms(name string) time.Duration { return time.Duration(number(name)) * time.Millisecond }

func address() string {
	if port := os.Getenv("PORT"); port != "" {
		return ":" + port
	}
	return ":8080"
}

func health() {
	client := http.Client{Timeout: 2 * time.Second}
	answer, err := client.Get("http://127.0.0.1" + address() + "/health")
	if err != nil || answer.StatusCode != 200 {
		fmt.Println("the health check failed: database unreachable")
		os.Exit(1)
	}
}

// serve is the service. VERSION is in every answer; READY_AFTER (ms) until it is healthy; FAIL_HEALTH never is;
// DIE_AFTER (ms) ends it with 3; DRAIN (ms) it serves on after SIGTERM; GRACE=0 ends it at once; WORK (ms) for a request.
func serve() {
	start, version := time.Now(), os.Getenv("VERSION")
	host, _ := os.Hostname()
	var draining atomic.Bool
	ready := func() bool { return time.Since(start) >= ms("READY_AFTER") }
	mux := http.NewServeMux()
	mux.HandleFunc("/health", func(w http.ResponseWriter, r *http.Request) {
		if !ready() || os.Getenv("FAIL_HEALTH") != "" || draining.Load() {
			w.WriteHeader(503)
		}
		fmt.Fprintln(w, version)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if !ready() {
			w.WriteHeader(503)
		}
		time.Sleep(ms("WORK"))
		fmt.Fprintln(w, version, host)
	})
	mux.HandleFunc("/env", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%q", os.Getenv(r.URL.Query().Get("name")))
	})
	server := &http.Server{Addr: address(), Handler: mux}
	fmt.Println("starting", version)
	if after := ms("DIE_AFTER"); after > 0 {
		time.AfterFunc(after, func() {
			fmt.Println("giving up: no such table: orders")
			os.Exit(3)
		})
	}
	done := make(chan struct{})
	go func() {
		asked := make(chan os.Signal, 1)
		signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
		<-asked
		if os.Getenv("GRACE") == "0" {
			os.Exit(0)
		}
		draining.Store(true)
		time.Sleep(ms("DRAIN"))
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		server.Shutdown(ctx)
		close(done)
	}()
	if err := server.ListenAndServe(); err != http.ErrServerClosed {
		fmt.Println(err)
		os.Exit(1)
	}
	<-done
}
