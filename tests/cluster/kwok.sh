#!/bin/bash
# kwok.sh COUNT: fake nodes fake-0 … fake-<COUNT-1>, and slow-0, stuck-0, failing-0 (see stages/), beside the
# real node of a running cluster. All are cordoned: a test uncordons what it wants and cordons the real one.
# Their pods' volumes need storage class "fake".
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
count=${1:?usage: kwok.sh COUNT}

node() {
  cat <<K
---
apiVersion: v1
kind: Node
metadata: {name: $1, annotations: {kwok.x-k8s.io/node: fake}, labels: {type: fake, kubernetes.io/hostname: $1}}
spec: {unschedulable: true}
status: {allocatable: &room {cpu: "256", memory: 2Ti, pods: "1000"}, capacity: *room}
K
}

names="slow-0 stuck-0 failing-0"
for i in $(seq 0 $((count - 1))); do names="$names fake-$i"; done
# only those that are missing: a node in use keeps its state
for name in $names; do k get node "$name" >/dev/null 2>&1 || node "$name"; done | k apply -f - >/dev/null 2>&1 || true

if ! alive kwok >/dev/null; then
  settings=()
  for stage in "$CACHE"/kwok-stages/*.yaml "$HERE"/stages/*.yaml; do settings+=(--config "$stage"); done
  # a lease of an earlier kwok would keep the new one waiting
  k delete lease -n kube-node-lease --all --field-selector metadata.name!=node >/dev/null 2>&1 || true
  setsid nsenter --net=/run/netns/$NETNS "$CACHE/kwok" --kubeconfig "$RUN/kwok.kubeconfig" --manage-all-nodes=false \
    --manage-nodes-with-annotation-selector=kwok.x-k8s.io/node=fake --node-lease-duration-seconds=40 --cidr 10.89.0.0/16 --node-ip $NODE_IP \
    "${settings[@]}" >"$RUN/logs/kwok.log" 2>&1 </dev/null 8>&- 9>&- &
  remember $! pids/kwok
fi
# shellcheck disable=SC2086 # one word per node
k wait --for=condition=Ready --timeout=30s $(printf 'node/%s ' $names) >/dev/null
echo "[kwok] fake nodes ready: $names"
