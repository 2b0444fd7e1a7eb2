package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"
)

// desktopPorts are what a workspace offers: rdp, vnc, sftp.
var desktopPorts = []string{":3389", ":5901", ":2222"}

// greeting is how long a listener waits for a client that speaks first.
const greeting = 200 * time.Millisecond

// playWorkspace listens where a workspace listens. It needs neither root nor a writable root.
func playWorkspace(log io.Writer) error {
	account := map[string]any{
		"kind": os.Getenv("WORKSPACE_KIND"), "user": os.Getenv("WORKSPACE_USER"),
		"uid": os.Getuid(), "gid": os.Getgid(), "listening": desktopPorts,
	}
	line, err := json.Marshal(account)
	if err != nil {
		return err
	}
	fmt.Fprintln(log, string(line))
	failed := make(chan error)
	for _, address := range desktopPorts {
		go func() { failed <- greet(address, "workspace "+os.Getenv("WORKSPACE_KIND")+" "+address[1:]) }()
	}
	return <-failed
}

func greet(address, banner string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		go answer(connection, banner)
	}
}

// answer speaks HTTP to who asks in HTTP, and says one line to everybody else.
func answer(connection net.Conn, banner string) {
	defer connection.Close()
	_ = connection.SetDeadline(time.Now().Add(greeting))
	reader := bufio.NewReader(connection)
	first, _ := reader.Peek(4)
	_ = connection.SetDeadline(time.Now().Add(attempt))
	if string(first) != "GET " {
		fmt.Fprintf(connection, "%s\r\n", banner)
		return
	}
	for { // the request's head, so that closing never resets the answer
		line, err := reader.ReadString('\n')
		if err != nil || line == "\r\n" || line == "\n" {
			break
		}
	}
	fmt.Fprintf(connection, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s\n", len(banner)+1, banner)
}

func serve(addresses []string) error {
	failed := make(chan error)
	hello := http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		fmt.Fprintf(writer, "hello from %s to %s\n", request.Host, request.RemoteAddr)
	})
	for _, address := range addresses {
		if datagrams, ok := strings.CutPrefix(address, "udp:"); ok {
			go func() { failed <- echo(datagrams) }()
			continue
		}
		go func() { failed <- http.ListenAndServe(address, hello) }()
	}
	return <-failed
}

func echo(address string) error {
	socket, err := net.ListenPacket("udp", address)
	if err != nil {
		return err
	}
	buffer := make([]byte, 512)
	for {
		count, peer, err := socket.ReadFrom(buffer)
		if err != nil {
			return err
		}
		if _, err := socket.WriteTo(buffer[:count], peer); err != nil {
			return err
		}
	}
}

// proxy forwards plain HTTP requests to the allowed hosts, and refuses all others with 403.
func proxy(address string, allowed []string) error {
	transport := &http.Transport{DisableKeepAlives: true}
	return http.ListenAndServe(address, http.HandlerFunc(func(writer http.ResponseWriter, request *http.Request) {
		if !slices.Contains(allowed, request.URL.Hostname()) {
			http.Error(writer, "refused by the proxy: "+request.URL.Hostname(), http.StatusForbidden)
			return
		}
		request.RequestURI = ""
		response, err := transport.RoundTrip(request)
		if err != nil {
			http.Error(writer, err.Error(), http.StatusBadGateway)
			return
		}
		defer response.Body.Close()
		writer.WriteHeader(response.StatusCode)
		_, _ = io.Copy(writer, response.Body)
	}))
}
