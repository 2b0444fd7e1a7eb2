package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// ask puts one question to a URL and returns the answer in one line.
func ask(client *http.Client, target string, timeout time.Duration) (string, error) {
	parsed, err := url.Parse(target)
	if err != nil {
		return "", err
	}
	switch parsed.Scheme {
	case "tcp":
		return askSocket("tcp", parsed.Host, "", timeout)
	case "udp":
		return askSocket("udp", parsed.Host, "ping\n", timeout)
	}
	response, err := client.Get(target)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, 4096))
	return response.Status + " " + strings.TrimSpace(string(body)), err
}

// askSocket opens a connection and reads what comes first. On TCP an open connection already is the
// answer; on UDP only a datagram that comes back is one.
func askSocket(network, address, question string, timeout time.Duration) (string, error) {
	connection, err := net.DialTimeout(network, address, timeout)
	if err != nil {
		return "", err
	}
	defer connection.Close()
	if question != "" {
		if _, err := io.WriteString(connection, question); err != nil {
			return "", err
		}
	} else {
		timeout = min(timeout, 500*time.Millisecond) // a silent server keeps nobody waiting
	}
	_ = connection.SetReadDeadline(time.Now().Add(timeout))
	buffer := make([]byte, 512)
	count, err := connection.Read(buffer)
	if err != nil && network == "udp" {
		return "", err
	}
	return "open " + strings.TrimSpace(string(buffer[:count])), nil
}

func newClient(timeout time.Duration, throughProxy, keepOpen bool) *http.Client {
	transport := &http.Transport{DisableKeepAlives: !keepOpen, MaxIdleConns: 1, MaxConnsPerHost: 1}
	if throughProxy {
		transport.Proxy = http.ProxyFromEnvironment
	}
	return &http.Client{Timeout: timeout, Transport: transport}
}

func getAll(args []string) error {
	throughProxy := args[0] == "-proxy"
	if throughProxy {
		args = args[1:]
	}
	client := newClient(attempt, throughProxy, false)
	blocked := 0
	for _, target := range args {
		begun := time.Now()
		answer, err := ask(client, target, attempt)
		if err != nil {
			blocked++
			fmt.Printf("BLOCKED %s after %d ms: %v\n", target, time.Since(begun).Milliseconds(), err)
			continue
		}
		fmt.Printf("OK %s in %d ms: %s\n", target, time.Since(begun).Milliseconds(), answer)
	}
	if blocked > 0 {
		return fmt.Errorf("%d of %d blocked", blocked, len(args))
	}
	return nil
}

func watch(target, seconds string) error {
	count, err := strconv.Atoi(seconds)
	if err != nil {
		return err
	}
	const pause, timeout = 10 * time.Millisecond, 300 * time.Millisecond
	client := newClient(timeout, false, false)
	last, end := "", time.Now().Add(time.Duration(count)*time.Second)
	for time.Now().Before(end) {
		asked, state := time.Now(), "OK"
		if _, err := ask(client, target, timeout); err != nil {
			state = "BLOCKED"
		}
		if state != last {
			fmt.Println(asked.UnixMilli(), state)
			last = state
		}
		time.Sleep(pause)
	}
	return nil
}

// hold keeps one TCP connection and asks over it; a second connection is never opened.
func hold(target, seconds string) error {
	count, err := strconv.Atoi(seconds)
	if err != nil {
		return err
	}
	const pause = 200 * time.Millisecond
	dialled := false
	client := newClient(time.Second, false, true)
	client.Transport.(*http.Transport).Dial = func(network, address string) (net.Conn, error) {
		if dialled {
			return nil, errors.New("the connection was lost")
		}
		dialled = true
		return net.DialTimeout(network, address, time.Second)
	}
	for range count * int(time.Second/pause) {
		if _, err := ask(client, target, time.Second); err != nil {
			fmt.Println(time.Now().UnixMilli(), "BLOCKED", err)
		} else {
			fmt.Println(time.Now().UnixMilli(), "OK")
		}
		time.Sleep(pause)
	}
	return nil
}
