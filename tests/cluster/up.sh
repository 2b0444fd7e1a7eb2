#!/bin/bash
# up.sh [--for PID]: one real Kubernetes node in a network namespace of its own, everything below $RUN.
# A running and healthy cluster is left as it is; a half-dead one is taken down and started anew.
# --for names the process that uses it: down.sh --for leaves a cluster alone that others still use. Without it
# the cluster is yours, and stays until you call down.sh.
#   CNI=bridge  no NetworkPolicy is enforced (the negative control)    KWOK=N  N fake nodes beside the real one
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"
. "$HERE/network.sh"
. "$HERE/parts.sh"
. "$HERE/certificates.sh"
CNI=${CNI:-calico}
user=
[ "${1:-}" != --for ] || user=${2:?usage: up.sh [--for PID]}

[ "$(id -u)" = 0 ] || { echo "up.sh must run as root: it makes namespaces, mounts and cgroups" >&2; exit 1; }
[ -f "$CACHE/stamps/kwok" ] || { echo "nothing is built: run $HERE/build.sh first" >&2; exit 1; }
mkdir -p "$(dirname "$RUN")"
exec 8>"$RUN.lock"
flock 8
begun=$(date +%s%N)
lap() { echo "[up] $((($(date +%s%N) - begun) / 1000000)) ms  $*"; }

# Two checkouts, or another mode, are another cluster.
wanted=$(echo "$CNI"; cd "$HERE"; cat "$CACHE"/stamps/* env.sh up.sh network.sh parts.sh certificates.sh audit-policy.yaml classes.yaml | sha256sum)

healthy() {
  local part
  [ "$(cat "$RUN/wanted" 2>/dev/null)" = "$wanted" ] || return 1
  for part in containerd etcd apiserver controllers scheduler storage kubelet proxy; do alive $part >/dev/null || return 1; done
  ready_api || return 1
  [ $CNI != calico ] || { alive felix >/dev/null && felix_ready; } || return 1
  k get node node -o 'jsonpath={.status.conditions[?(@.type=="Ready")].status}' | grep -qx True
}
felix_ready() { in_node curl -sf --max-time 2 http://127.0.0.1:9099/readiness >/dev/null; }

note_user() {
  mkdir -p "$RUN/users"
  if [ -n "$user" ]; then remember "$user" "users/$user"; else : >"$RUN/users/kept"; fi
}

containerd_settings() {
  cat <<K
version = 2
root = "$RUN/containerd-root"
state = "$RUN/containerd-state"
[grpc]
  address = "$RUN/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$RUN/containerd-opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "lab.local/pause:1"
  disable_apparmor = true
  netns_mounts_under_state_dir = true   # the pods' namespaces stay below our own folder
  restrict_oom_score_adj = true         # without CAP_SYS_RESOURCE no pod starts otherwise
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "$RUN/cni-bin"
    conf_dir = "$RUN/cni-conf"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "overlayfs"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
K
}

kubelet_settings() {
  cat <<K
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /$CGROUP
containerRuntimeEndpoint: unix://$RUN/containerd.sock
address: $NODE_IP
healthzBindAddress: 127.0.0.1
authentication: {anonymous: {enabled: false}, webhook: {enabled: false}, x509: {clientCAFile: $RUN/certs/ca.crt}}
authorization: {mode: AlwaysAllow}
failSwapOn: false
enforceNodeAllocatable: []
resolvConf: ""
volumePluginDir: $RUN/volume-plugins
podLogsDir: $RUN/pod-logs
maxPods: 100
kubeAPIQPS: 100
kubeAPIBurst: 200
serializeImagePulls: false
evictionHard: {memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%, nodefs.inodesFree: 1%}
K
}

cni_settings() {
  case $CNI in
    bridge) cat <<K
{"name":"test","cniVersion":"0.4.0","plugins":[
 {"type":"bridge","bridge":"cni0","isGateway":true,"ipMasq":false,"hairpinMode":true,
  "ipam":{"type":"host-local","dataDir":"$RUN/ipam","ranges":[[{"subnet":"10.88.0.0/24"}]],"routes":[{"dst":"0.0.0.0/0"}]}}]}
K
      ;;
    calico) cat <<K
{"name":"test","cniVersion":"0.3.1","plugins":[
 {"type":"calico","log_level":"info","log_file_path":"$RUN/logs/cni.log","datastore_type":"kubernetes","nodename":"node","nodename_file_optional":true,"mtu":1500,
  "ipam":{"type":"host-local","dataDir":"$RUN/ipam","subnet":"usePodCidr"},"policy":{"type":"k8s"},"kubernetes":{"kubeconfig":"$RUN/felix.kubeconfig"}}]}
K
      ;;
    *) echo "CNI is calico or bridge, not $CNI" >&2; return 1 ;;
  esac
}

# A cgroup of our own below every controller; cpuset starts empty and must be filled to be usable.
make_cgroups() {
  local root
  for root in /sys/fs/cgroup /sys/fs/cgroup/*/; do
    [ -e "$root/cgroup.procs" ] || continue
    mkdir -p "$root/$CGROUP"
    if [ -e "$root/cpuset.cpus" ]; then
      cat "$root/cpuset.cpus" >"$root/$CGROUP/cpuset.cpus"
      cat "$root/cpuset.mems" >"$root/$CGROUP/cpuset.mems"
    fi
  done
}

# Folders whose path the programs fix; those that were not there before go with the cluster.
note_litter() {
  local folder
  for folder in /run/containerd /var/lib/calico /var/lib/cni /var/lib/kubelet /var/log/containers; do
    [ -e $folder ] || echo $folder >>litter
  done
}

start_containerd() {
  cp /usr/lib/cni/* cni-bin/
  cp "$CACHE/calico" cni-bin/
  containerd_settings >containerd.toml
  start containerd containerd -c "$RUN/containerd.toml"
}

import_images() {
  local image containers=(ctr -a "$RUN/containerd.sock" -n k8s.io)
  wait_for containerd "${containers[@]}" version
  for image in pause box; do "${containers[@]}" images import "$CACHE/$image.tar" >/dev/null; done
  # a second tag and a digest are further names of the same image
  "${containers[@]}" images tag lab.local/box:1 lab.local/box:2 "lab.local/box@$(cat "$CACHE/box.digest")" >/dev/null
  lap images imported
}

start_control_plane() {
  start etcd "$CACHE/kube" etcd --data-dir "$RUN/etcd" --unsafe-no-fsync \
    --listen-client-urls http://127.0.0.1:22379 --advertise-client-urls http://127.0.0.1:22379 \
    --listen-peer-urls http://127.0.0.1:22380 --initial-advertise-peer-urls http://127.0.0.1:22380 --initial-cluster default=http://127.0.0.1:22380
  start apiserver "$CACHE/kube" apiserver --etcd-servers http://127.0.0.1:22379 --secure-port 26443 --bind-address 0.0.0.0 --advertise-address $NODE_IP \
    --cert-dir "$RUN/certs" --tls-cert-file certs/apiserver.crt --tls-private-key-file certs/apiserver.key --client-ca-file certs/ca.crt \
    --kubelet-client-certificate certs/kubelet-client.crt --kubelet-client-key certs/kubelet-client.key --kubelet-preferred-address-types InternalIP \
    --service-account-key-file certs/accounts.pub --service-account-signing-key-file certs/accounts.key --service-account-issuer https://kubernetes.default.svc \
    --token-auth-file certs/tokens.csv --authorization-mode RBAC --service-cluster-ip-range $SERVICE_NET --allow-privileged=true \
    --audit-policy-file "$HERE/audit-policy.yaml" --audit-log-path "$RUN/audit.log" --audit-log-maxsize 8192
  start controllers "$CACHE/kube" controllers --kubeconfig controllers.kubeconfig --controllers '*,-service-lb-controller,-node-route-controller' \
    --allocate-node-cidrs --cluster-cidr $POD_NET --node-cidr-mask-size 24 --root-ca-file certs/ca.crt --service-account-private-key-file certs/accounts.key \
    --use-service-account-credentials=false --leader-elect=false --bind-address 127.0.0.1 --kube-api-qps=200 --kube-api-burst=400
  start scheduler "$CACHE/kube" scheduler --kubeconfig scheduler.kubeconfig --leader-elect=false --bind-address 127.0.0.1
}

start_node() {
  kubelet_settings >kubelet.yaml
  make_cgroups
  start kubelet "$CACHE/kube" kubelet --config kubelet.yaml --kubeconfig kubelet.kubeconfig --root-dir "$RUN/kubelet" --cert-dir "$RUN/kubelet-certs" \
    --hostname-override node --node-ip $NODE_IP
  k apply -f "$HERE/classes.yaml" >/dev/null
  start storage "$CACHE/kube" storage --kubeconfig storage.kubeconfig --folder "$RUN/volumes"
  [ $CNI != calico ] || start_calico
  cni_settings >cni-conf/10-test.conflist.new
  mv cni-conf/10-test.conflist.new cni-conf/10-test.conflist
  start proxy "$CACHE/kube" proxy --kubeconfig proxy.kubeconfig --hostname-override node --proxy-mode iptables --cluster-cidr $POD_NET \
    --conntrack-max-per-core 0 --conntrack-tcp-timeout-established 0 --conntrack-tcp-timeout-close-wait 0
  wait_for kubelet k wait --for=condition=Ready node/node --timeout=5s
}

start_calico() {
  k apply --server-side -f "$CACHE/calico-crds" >/dev/null
  k wait --for=condition=Established crd --all --timeout=30s >/dev/null
  k apply -f - >/dev/null <<K
apiVersion: crd.projectcalico.org/v1
kind: ClusterInformation
metadata: {name: default}
spec: {datastoreReady: true, clusterGUID: "test", calicoVersion: v3.28.5}
K
  start felix env KUBECONFIG="$RUN/felix.kubeconfig" FELIX_DATASTORETYPE=kubernetes FELIX_FELIXHOSTNAME=node FELIX_IPV6SUPPORT=false \
    FELIX_LOGSEVERITYSCREEN=Info FELIX_LOGFILEPATH=none FELIX_LOGSEVERITYFILE=none FELIX_USAGEREPORTINGENABLED=false FELIX_BPFENABLED=false \
    FELIX_XDPENABLED=false FELIX_IPTABLESBACKEND=NFT FELIX_DEFAULTENDPOINTTOHOSTACTION=ACCEPT FELIX_HEALTHENABLED=true FELIX_HEALTHHOST=127.0.0.1 \
    FELIX_HEALTHPORT=9099 FELIX_INTERFACEPREFIX=cali FELIX_FLOATINGIPS=Disabled FELIX_WIREGUARDENABLED=false \
    "$CACHE/calico" felix "$RUN/felix.cfg"
  wait_for felix felix_ready
  lap network policy enforced
}

main() {
  if healthy; then
    note_user
    lap "already up: $API"
    return
  fi
  if ready_api && [ "$(cat "$RUN/wanted")" != "$wanted" ] && [ -n "$(users)" ]; then
    echo "a cluster of another build or mode is up and in use by: $(users); stop them, or call down.sh" >&2
    exit 1
  fi
  WPS_TEST_LOCKED=1 "$HERE/down.sh"
  mkdir -p "$RUN"/{certs,cni-bin,cni-conf,logs,pids,volumes}
  chmod 711 "$RUN"
  chmod 700 "$RUN/certs"
  cd "$RUN"
  trap 'echo "[up] failed; logs below $RUN/logs" >&2' ERR
  note_litter
  make_network
  make_certificates
  make_tokens
  start_containerd
  start_control_plane
  import_images
  wait_for apiserver ready_api
  lap API server ready
  start_node
  echo "$wanted" >wanted
  note_user
  lap "up: $API"
}

main
[ "${KWOK:-0}" = 0 ] || "$HERE/kwok.sh" "$KWOK"
