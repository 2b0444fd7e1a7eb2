/** NetworkPolicies as the API server would combine them. */
import { type KubeObject, type Peer, type PolicyPort, type PolicySpec, selects } from "./objects.ts";

/** What policies allow a pod in one direction, added up; null: none selects it, so everything is allowed. */
export function rulesFor(
  pod: KubeObject,
  policies: KubeObject[],
  direction: "Ingress" | "Egress",
): { peers: Peer[] | undefined; ports: PolicyPort[] | undefined }[] | null {
  const binding = policies.map(({ spec }): PolicySpec => spec).filter((spec) =>
    (spec.policyTypes ?? ["Ingress"]).includes(direction) && selects(spec.podSelector, pod.metadata.labels)
  );
  if (binding.length === 0) return null;
  return binding.flatMap((spec) =>
    direction === "Ingress"
      ? (spec.ingress ?? []).map(({ from, ports }) => ({ peers: from, ports }))
      : (spec.egress ?? []).map(({ to, ports }) => ({ peers: to, ports }))
  );
}

/** Whether TCP on some of these ports is let through and nothing else. */
export function onlyPorts(ports: PolicyPort[] | undefined, allowed: number[]): boolean {
  return ports !== undefined && ports.length > 0 &&
    ports.every(({ protocol = "TCP", port, endPort }) =>
      protocol === "TCP" && typeof port === "number" && allowed.includes(port) && endPort === undefined
    );
}
