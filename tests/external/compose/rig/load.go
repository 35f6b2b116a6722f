package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Tally is what became of every request.
type Tally struct {
	sync.Mutex
	Requests int            `json:"requests"`
	Lost     int            `json:"lost"`
	Answers  map[string]int `json:"answers"`
	Versions map[string]int `json:"versions"`
	Slowest  int64          `json:"slowest_ms"`
}

// load URL SECONDS RATE WORKERS KEEP: so many GETs a second until the time is over or SIGTERM comes; prints its pid, and a Tally.
// The rate is held by the clock and not by the answers: a slow server gets no fewer requests.
func load(args []string) {
	var seconds, rate, workers, keep int
	fmt.Sscan(strings.Join(args[1:], " "), &seconds, &rate, &workers, &keep)
	tally := &Tally{Answers: map[string]int{}, Versions: map[string]int{}}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: keep == 0, MaxIdleConnsPerHost: workers}}
	wanted := make(chan struct{}, workers*64)
	var crew sync.WaitGroup
	for i := 0; i < workers; i++ {
		crew.Add(1)
		go func() {
			defer crew.Done()
			for range wanted {
				request(client, args[0], tally)
			}
		}()
	}
	over := make(chan os.Signal, 1)
	signal.Notify(over, syscall.SIGTERM, syscall.SIGINT)
	tick, end := time.NewTicker(time.Second/time.Duration(rate)), time.After(time.Duration(seconds)*time.Second)
	fmt.Println("loading", os.Getpid())
	for running := true; running; {
		select {
		case <-tick.C:
			wanted <- struct{}{}
		case <-over:
			running = false
		case <-end:
			running = false
		}
	}
	close(wanted)
	crew.Wait()
	text, _ := json.Marshal(tally)
	fmt.Println(string(text))
}

func request(client *http.Client, url string, tally *Tally) {
	begin, answered, version := time.Now(), "", ""
	answer, err := client.Get(url)
	if err == nil {
		var body []byte
		body, err = io.ReadAll(answer.Body)
		answer.Body.Close()
		answered = fmt.Sprint(answer.StatusCode)
		version = strings.SplitN(strings.TrimSpace(string(body)), " ", 2)[0]
	}
	if err != nil {
		text := err.Error()
		answered, version = text[strings.LastIndex(text, ": ")+1:], ""
	}
	tally.Lock()
	defer tally.Unlock()
	tally.Requests++
	tally.Answers[answered]++
	if answered == "200" {
		tally.Versions[version]++
	} else {
		tally.Lost++
	}
	if took := time.Since(begin).Milliseconds(); took > tally.Slowest {
		tally.Slowest = took
	}
}
