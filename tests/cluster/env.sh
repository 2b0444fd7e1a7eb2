# Sourced by the scripts of this folder, and by people: `. tests/cluster/env.sh; k get pods -A`.
#   CACHE  built programs and images, kept between runs     RUN  everything the running cluster owns
#   k      kubectl as the cluster's administrator            in_node  runs a command in the node's network
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CACHE=${WPS_TEST_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/wps-test}
RUN=${WPS_TEST_RUN:-/var/lib/wps-test-cluster}

# The cluster's names and addresses are fixed: one cluster per machine, shared by whoever tests on it.
NETNS=wps-test
HOST_LINK=wps-test0       # the host's end of the wire into the node's network
HOST_IP=10.200.0.254      # this machine as the cluster sees it
NODE_IP=10.200.0.1
NODE_NET=10.200.0.0/24
POD_NET=10.88.0.0/16
SERVICE_NET=10.96.0.0/16
API=https://$NODE_IP:26443
CGROUP=wps-test           # parent of every pod's cgroup

in_node() { nsenter --net=/run/netns/$NETNS "$@"; } # not `ip netns exec`: that hides the cgroup mounts
k() { "$CACHE/kube" kubectl --kubeconfig "$RUN/admin.kubeconfig" "$@"; }

# A process is remembered as "pid starttime", so that a recycled pid is never taken for it, nor a zombie for alive.
started() { awk '{ sub(/^.*\) /, "") } $1 != "Z" { print $20 }' "/proc/$1/stat" 2>/dev/null; }
remember() { echo "$1 $(started "$1")" >"$RUN/$2"; } # PID FILE
living() {                                           # FILE: prints the pid when that very process lives
  local pid start
  read -r pid start 2>/dev/null <"$1" || return 1
  [ -n "$start" ] && [ "$(started "$pid")" = "$start" ] && echo "$pid"
}
alive() { living "$RUN/pids/$1"; } # NAME of a part of the cluster

# Who uses the running cluster: pids of living test processes, or "kept" when a person started it.
users() {
  local file
  for file in "$RUN"/users/*; do
    case $file in
      */kept) echo kept ;;
      *) living "$file" || true ;;
    esac
  done
}

case $RUN in
  /*wps*) ;;
  *) echo "WPS_TEST_RUN must be an absolute path with 'wps' in it, not $RUN: it is removed as a whole" >&2; exit 1 ;;
esac
