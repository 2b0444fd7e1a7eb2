#!/bin/bash
# build.sh [--no-packages|--only-packages]: everything the test cluster and the test services are made of.
# Debian packages first (root; --no-packages only says which are missing, exit 3), then the Go programs and
# the two images into the cache. Safe to repeat: what has not changed is not built again.
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/env.sh"

# What the test cluster runs on, then the two servers that the tests start themselves.
PACKAGES="containerd runc containernetworking-plugins iptables nftables ipset conntrack iproute2 busybox-static
  openssl util-linux procps curl ca-certificates rabbitmq-server redis-server strace"
K8S=v1.36.3

say() { echo "[build] $*"; }
fail() { echo "[build] $*" >&2; exit 1; }

missing_packages() {
  local p
  for p in $PACKAGES; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$p" 2>/dev/null)" = installed ] || echo -n "$p "
  done
}

# Debian starts a server when it installs it. Tests start their own, so the policy says no meanwhile.
install_packages() {
  [ "$(id -u)" = 0 ] || { echo "[build] run this as root, or install: $*" >&2; exit 3; }
  say "installing $*"
  local policy=/usr/sbin/policy-rc.d
  if [ ! -e $policy ]; then
    trap "rm -f $policy" EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
  fi
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q >"$CACHE/apt.log" 2>&1 || { tail -20 "$CACHE/apt.log" >&2; exit 1; }
  apt-get install -o DPkg::Lock::Timeout=300 -y -q --no-install-recommends "$@" >"$CACHE/apt.log" 2>&1 ||
    { tail -20 "$CACHE/apt.log" >&2; exit 1; }
  # a policy that was there before is not ours to remove
  if [ -n "$(trap -p EXIT)" ]; then
    rm -f $policy
    trap - EXIT
  fi
}

packages() {
  local missing
  missing=$(missing_packages)
  [ -n "$missing" ] || { say "packages: all there"; return; }
  if [ "${1:-}" = --no-packages ]; then
    echo "[build] missing Debian packages: $missing" >&2
    exit 3
  fi
  # shellcheck disable=SC2086 # one word per package
  install_packages $missing
}

# Any Go since 1.21 fetches the version that go.mod names as an ordinary module.
find_go() {
  local g
  for g in go /usr/local/go/bin/go /usr/lib/go-1.*/bin/go; do
    command -v "$g" >/dev/null || continue
    case $("$g" env GOVERSION 2>/dev/null) in
      go1.2[1-9]* | go1.[3-9][0-9]* | go[2-9]*) command -v "$g"; return ;;
    esac
  done
  return 1
}

go_ready() {
  GO=$(find_go) && return
  if [ "${1:-}" != --no-packages ] && [ "$(id -u)" = 0 ]; then
    install_packages golang-go
    GO=$(find_go) && return
  fi
  echo "[build] Go 1.21 or newer is missing: install it below /usr/local/go (https://go.dev/dl)" >&2
  exit 3
}

# built NAME FOLDER COMMAND...: runs COMMAND in FOLDER unless its sources, the command and the Go are as they were.
built() {
  local name=$1 folder=$2 stamp begun=$SECONDS
  shift 2
  stamp=$( (echo "$*"; "$GO" version; cd "$HERE/$folder"; find . -type f | LC_ALL=C sort | xargs sha256sum) | sha256sum)
  if [ "$(cat "$CACHE/stamps/$name" 2>/dev/null)" = "$stamp" ]; then
    say "$name: unchanged"
    return
  fi
  say "$name: building"
  rm -f "$CACHE/stamps/$name"
  set +e # a function called left of || would not stop at its first failing command
  (set -e; cd "$HERE/$folder"; "$@")
  local code=$?
  set -e
  [ $code = 0 ] || fail "$name: the build failed"
  echo "$stamp" >"$CACHE/stamps/$name"
  say "$name: built in $((SECONDS - begun)) s"
}

# Downloads say one line per module; only what failed is worth reading.
compile() {
  local out=$1
  shift
  "$GO" build -trimpath -o "$CACHE/$out.new" "$@" 2>"$CACHE/$out.log" || { tail -20 "$CACHE/$out.log" >&2; return 1; }
  mv "$CACHE/$out.new" "$CACHE/$out"
}

compile_kube() {
  local v=k8s.io/component-base/version
  compile kube -ldflags "-s -w -X $v.gitVersion=$K8S -X $v.gitMajor=1 -X $v.gitMinor=36" .
}

# Calico's resource definitions and kwok's stages are used as they come, from the modules.
module_folder() { "$GO" list -m -f '{{.Dir}}' "$1"; }
copy_fresh() { rm -rf "$2"; mkdir -p "$2"; cp --no-preserve=mode "$1"/*.yaml "$2/"; }

compile_calico() {
  compile calico -ldflags '-s -w' .
  copy_fresh "$(module_folder github.com/projectcalico/calico)/libcalico-go/config/crd" "$CACHE/calico-crds"
}

compile_kwok() {
  compile kwok -ldflags '-s -w' sigs.k8s.io/kwok/cmd/kwok
  local stage
  stage=$(module_folder sigs.k8s.io/kwok)/kustomize/stage
  rm -rf "$CACHE/kwok-stages" && mkdir -p "$CACHE/kwok-stages"
  cp --no-preserve=mode "$stage"/node/fast/node-initialize.yaml "$stage"/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml \
    "$stage"/pod/fast/pod-{ready,complete,delete}.yaml "$CACHE/kwok-stages/"
}

# Each applet of busybox is there but wget, whose static build crashes after a successful fetch.
make_images() {
  local program
  for program in pause probe mkimage; do compile $program -ldflags '-s -w' "./$program"; done
  "$CACHE/mkimage" -out "$CACHE/pause.tar" -name lab.local/pause:1 -entrypoint /pause "$CACHE/pause=/pause" >/dev/null
  "$CACHE/mkimage" -out "$CACHE/box.tar" -name lab.local/box:1 -entrypoint /bin/probe,workspace \
    -links "/bin/busybox=$(/bin/busybox --list | grep -vx -e wget -e busybox | paste -sd,)" \
    /bin/busybox=/bin/busybox "$CACHE/probe=/bin/probe" >"$CACHE/box.digest"
}

mkdir -p "$CACHE/stamps"
exec 9>"$CACHE/build.lock"
flock -n 9 || { say "another build is running, waiting for it"; flock 9; }
begun=$SECONDS
packages "${1:-}"
[ "${1:-}" != --only-packages ] || exit 0
go_ready "${1:-}"
export CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOTOOLCHAIN=auto
built image image make_images
built kube kube compile_kube
built calico calico compile_calico
built kwok kwok compile_kwok
say "ready in $((SECONDS - begun)) s: $CACHE"
