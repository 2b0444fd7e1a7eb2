#!/bin/bash
# part.sh kill|start|freeze|thaw NAME: makes a part of the running cluster fail, and lets it come back as it was.
#   kill    SIGKILL                      start   again with the same command in the same place; returns when it is ready
#   freeze  SIGSTOP: connections stay    thaw    SIGCONT
# NAME is a file of $RUN/pids: etcd, apiserver, controllers, scheduler, kubelet, proxy, felix …
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
do=${1:?usage: part.sh kill|start|freeze|thaw NAME} name=${2:?usage: part.sh kill|start|freeze|thaw NAME}
READY_TENTHS=600 # as in up.sh

ready() {
  case $name in
    apiserver | etcd) curl -sf --max-time 2 --cacert "$RUN/certs/ca.crt" $API/readyz >/dev/null ;;
    *) alive "$name" >/dev/null ;;
  esac
}

pid=$(alive "$name") || [ "$do" = start ] || { echo "$name does not run" >&2; exit 1; }
case $do in
  kill)
    readlink "/proc/$pid/cwd" >"$RUN/$name.folder"
    cp "/proc/$pid/cmdline" "$RUN/$name.command"
    kill -KILL "$pid"
    while alive "$name" >/dev/null; do sleep 0.02; done
    ;;
  start)
    [ -z "$pid" ] || { echo "$name runs" >&2; exit 1; }
    mapfile -d '' command <"$RUN/$name.command"
    cd "$(cat "$RUN/$name.folder")"
    setsid nsenter --net=/run/netns/$NETNS "${command[@]}" >>"$RUN/logs/$name.log" 2>&1 </dev/null &
    remember $! "pids/$name"
    for _ in $(seq $READY_TENTHS); do
      ready && exit 0
      alive "$name" >/dev/null || { echo "$name ended:" >&2; tail -15 "$RUN/logs/$name.log" >&2; exit 1; }
      sleep 0.1
    done
    echo "$name: not ready in $((READY_TENTHS / 10)) s" >&2
    exit 1
    ;;
  freeze) kill -STOP "$pid" ;;
  thaw) kill -CONT "$pid" ;;
  *) echo "usage: part.sh kill|start|freeze|thaw NAME" >&2; exit 2 ;;
esac
