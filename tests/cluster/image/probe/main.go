// probe lives in the test image. It plays a workspace, and tells from inside a pod what that pod can reach.
//
//	probe workspace              listen on 3389, 5901 and 2222 as a workspace does (the image's entrypoint)
//	probe get [-proxy] URL...    one line per URL: OK or BLOCKED; exit code 1 when one was blocked
//	probe hold URL SECONDS       one open connection, one question each 200 ms: does it survive a new policy?
//	probe watch URL SECONDS      one line "<unix ms> OK|BLOCKED" at each change
//	probe serve ADDRESS...       answer on these addresses; udp:ADDRESS answers datagrams
//	probe proxy ADDRESS [HOST..] a plain HTTP forward proxy that allows these hosts only
//	probe write FILE             write one byte: OK or the reason why not; exit code 1 when refused
//	probe sleep                  until told to stop
//
// URL is http://…, tcp://host:port (a connection opens) or udp://host:port (a datagram is answered).
package main

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// attempt bounds one question: packets that a policy drops are never answered.
const attempt = 2 * time.Second

func main() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	// The first process of a container gets no default signal action, so the exit is ours.
	go func() { <-stop; os.Exit(0) }()
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "probe:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		args = []string{"workspace"}
	}
	command, rest := args[0], args[1:]
	switch {
	case command == "workspace":
		return playWorkspace(os.Stdout)
	case command == "get" && len(rest) > 0:
		return getAll(rest)
	case command == "hold" && len(rest) == 2:
		return hold(rest[0], rest[1])
	case command == "watch" && len(rest) == 2:
		return watch(rest[0], rest[1])
	case command == "serve" && len(rest) > 0:
		return serve(rest)
	case command == "proxy" && len(rest) > 0:
		return proxy(rest[0], rest[1:])
	case command == "write" && len(rest) == 1:
		if err := os.WriteFile(rest[0], []byte("x"), 0o644); err != nil {
			return err
		}
		fmt.Println("OK")
		return nil
	case command == "sleep":
		select {}
	}
	return fmt.Errorf("usage: workspace | get [-proxy] URL... | hold URL SECONDS | watch URL SECONDS | serve ADDRESS... | proxy ADDRESS [HOST...] | write FILE | sleep")
}
