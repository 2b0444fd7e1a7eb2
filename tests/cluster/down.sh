#!/bin/bash
# down.sh [--for PID]: ends what up.sh started and takes back every trace of it on this machine: processes,
# containers, mounts, the network namespace, routes, cgroups, files. With --for only if no one else uses it.
set -u
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
[ "$(id -u)" = 0 ] || { echo "down.sh must run as root" >&2; exit 1; }
[ "${WPS_TEST_LOCKED:-}" = 1 ] || { exec 8>"$RUN.lock" && flock 8; }
if [ "${1:-}" = --for ]; then
  rm -f "$RUN/users/$2"
  if [ -n "$(users)" ]; then
    echo "[down] left up, in use by: $(users | paste -sd' ')"
    exit 0
  fi
fi

# stop NAME...: TERM to all, one second, then KILL. A name without a living process of ours is passed over.
stop() {
  local name pid pids="" i
  for name in "$@"; do pid=$(alive "$name") && pids="$pids $pid"; rm -f "$RUN/pids/$name"; done
  [ -n "$pids" ] || return 0
  # shellcheck disable=SC2086 # one word per pid
  kill $pids 2>/dev/null
  for i in $(seq 20); do
    # shellcheck disable=SC2086
    kill -0 $pids 2>/dev/null || return 0
    sleep 0.05
  done
  # shellcheck disable=SC2086
  kill -9 $pids 2>/dev/null
}

stop kubelet felix proxy kwok storage controllers scheduler apiserver etcd

# Containers live in one cgroup of ours, so whatever is in it is theirs.
for round in 1 2 3 4 5; do
  pids=$(find /sys/fs/cgroup -path "*/$CGROUP/*" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u)
  [ -n "$pids" ] || break
  # shellcheck disable=SC2086
  kill -9 $pids 2>/dev/null
  sleep 0.1
done
for pid in $(ps -eo pid,args | awk -v address="-address $RUN/containerd.sock" '/containerd-shim-runc-v2/ && index($0, address) { print $1 }'); do
  kill -9 "$pid" 2>/dev/null
done
stop containerd

for round in 1 2 3; do
  awk -v run="$RUN/" 'index($2, run) == 1 { print $2 }' /proc/mounts | sort -r | while read -r mount; do umount -l "$mount" 2>/dev/null; done
done
ip link del $HOST_LINK 2>/dev/null # its routes go with it
ip netns del $NETNS 2>/dev/null
find /sys/fs/cgroup -depth -type d \( -path "*/$CGROUP" -o -path "*/$CGROUP/*" \) -exec rmdir {} + 2>/dev/null
if [ -f "$RUN/litter" ]; then xargs rm -rf --one-file-system <"$RUN/litter"; fi
rm -rf --one-file-system "$RUN"
