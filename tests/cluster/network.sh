# Sourced by up.sh: the node's own network namespace and the wire between it and this machine.

make_network() {
  local net
  for net in $NODE_NET $POD_NET $SERVICE_NET; do
    if ip route show exact "$net" | grep -q .; then
      echo "this machine already routes $net (ip route show $net): the test cluster needs it" >&2
      return 1
    fi
  done
  ip netns add $NETNS
  in_node ip link set lo up
  in_node ip link add node0 type bridge
  in_node ip addr add $NODE_IP/24 dev node0
  in_node ip link set node0 up
  # kubelet and felix want a default route; it leads to an address that nobody has
  in_node ip route add default via 10.200.0.253 dev node0
  in_node sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1 2>/dev/null || true
  ip link add $HOST_LINK type veth peer name uplink netns $NETNS
  in_node ip link set uplink master node0 up
  sysctl -qw net.ipv6.conf.$HOST_LINK.disable_ipv6=1 2>/dev/null || true
  ip addr add $HOST_IP/24 dev $HOST_LINK
  ip link set $HOST_LINK up
  ip route add $POD_NET via $NODE_IP dev $HOST_LINK
  ip route add $SERVICE_NET via $NODE_IP dev $HOST_LINK
}
