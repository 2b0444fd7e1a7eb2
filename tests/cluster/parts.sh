# Sourced by up.sh and part.sh: how a part of the cluster is started, and how it is waited for.
WAIT_TENTHS=600 # a minute for any one part: the slowest takes 3 s on an idle machine

# The parts are Go: with this they collect garbage a quarter as often. The machine has memory to spare, and two cores.
export GOGC=400

# start NAME COMMAND...: in the node's network, in a session of its own, without our locks and terminal
start() {
  local name=$1
  shift
  setsid nsenter --net=/run/netns/$NETNS "$@" >>"$RUN/logs/$name.log" 2>&1 </dev/null 8>&- 9>&- &
  remember $! "pids/$name"
}

wait_for() { # NAME COMMAND...: until COMMAND succeeds while NAME lives
  local name=$1 i
  shift
  for i in $(seq $WAIT_TENTHS); do
    "$@" >/dev/null 2>&1 && return 0
    alive "$name" >/dev/null || { echo "$name ended:" >&2; tail -15 "$RUN/logs/$name.log" >&2; return 1; }
    sleep 0.1
  done
  echo "$name: not ready in $((WAIT_TENTHS / 10)) s: $*" >&2
  tail -15 "$RUN/logs/$name.log" >&2
  return 1
}

ready_api() { curl -sf --max-time 2 --cacert "$RUN/certs/ca.crt" $API/readyz >/dev/null; }
