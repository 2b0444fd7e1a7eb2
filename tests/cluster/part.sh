#!/bin/bash
# part.sh kill|start|freeze|thaw apiserver|etcd: makes a part of the running cluster fail, and lets it come back as it was.
#   kill    SIGKILL                      start   again with the same command in the same place; returns when it is ready
#   freeze  SIGSTOP: connections stay    thaw    SIGCONT
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
. "$HERE/parts.sh"
verb=${1:-} name=${2:-}
case "$verb $name" in
  kill\ apiserver | start\ apiserver | freeze\ apiserver | thaw\ apiserver) ;;
  kill\ etcd | start\ etcd | freeze\ etcd | thaw\ etcd) ;;
  *) echo "usage: part.sh kill|start|freeze|thaw apiserver|etcd" >&2; exit 2 ;;
esac

if [ "$verb" = start ]; then
  if alive "$name" >/dev/null; then echo "$name runs" >&2; exit 1; fi
  mapfile -d '' command <"$RUN/$name.command"
  cd "$(cat "$RUN/$name.folder")"
  start "$name" "${command[@]}"
  wait_for "$name" ready_api
  exit
fi
pid=$(alive "$name") || { echo "$name does not run" >&2; exit 1; }
case $verb in
  kill)
    readlink "/proc/$pid/cwd" >"$RUN/$name.folder"
    cp "/proc/$pid/cmdline" "$RUN/$name.command"
    kill -KILL "$pid"
    tail --pid="$pid" --sleep-interval=0.05 -f /dev/null
    ;;
  freeze) kill -STOP "$pid" ;;
  thaw) kill -CONT "$pid" ;;
esac
