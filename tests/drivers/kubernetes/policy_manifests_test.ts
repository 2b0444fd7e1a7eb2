import assert from "node:assert/strict";
import {
  openPolicyManifest,
  parseRules,
  type Rules,
  rulesOf,
  shutPolicyManifest,
} from "../../../src/drivers/kubernetes/manifests/policy.ts";
import { airlock, NAMESPACE, PERMIT, research, site } from "./fixtures.ts";

const NAME = "research-j-virtanen-6a73fdc32951";
const UID = "6f1b2c7e-0000-4000-8000-000000000001";
const GATEWAY = {
  namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": "gateway" } },
  podSelector: { matchLabels: { app: "guacamole" } },
};
const LABELS = {
  "app.kubernetes.io/managed-by": "wps",
  "app.kubernetes.io/part-of": NAMESPACE,
  "app.kubernetes.io/component": "workspace",
  "spe.wps/permit": NAMESPACE,
  "app.kubernetes.io/name": "research",
  "app.kubernetes.io/instance": NAME,
  "spe.wps/workspace": NAME,
};

Deno.test("shutPolicyManifest: denies both ways for every pod of the workspace, whole", () => {
  assert.deepEqual(shutPolicyManifest(PERMIT, research(), "41"), {
    metadata: {
      name: NAME,
      namespace: NAMESPACE,
      labels: LABELS,
      annotations: {
        "spe.wps/permit-id": PERMIT,
        "spe.wps/workspace-key": "research/j.virtanen",
        "spe.wps/cut-after": "41",
      },
    },
    spec: {
      podSelector: { matchLabels: { "spe.wps/workspace": NAME } },
      policyTypes: ["Ingress", "Egress"],
      ingress: [],
      egress: [],
    },
  });
});

Deno.test("openPolicyManifest: an isolated workspace lets in the gateway alone, for one pod, whole", () => {
  const rules = rulesOf(research(), site());
  assert.deepEqual(openPolicyManifest(PERMIT, research(), rules, UID), {
    metadata: {
      name: NAME,
      namespace: NAMESPACE,
      labels: LABELS,
      annotations: {
        "spe.wps/permit-id": PERMIT,
        "spe.wps/workspace-key": "research/j.virtanen",
        "spe.wps/rules": JSON.stringify({
          posture: "isolated",
          protocol: "rdp",
          allowedCidrs: [],
          gateway: GATEWAY,
          proxy: null,
        }),
      },
    },
    spec: {
      podSelector: { matchLabels: { "spe.wps/workspace": NAME, "spe.wps/opened": UID } },
      policyTypes: ["Ingress", "Egress"],
      ingress: [{ from: [GATEWAY], ports: [{ protocol: "TCP", port: 3389 }] }],
    },
  });
});

const POSTURES: { why: string; rules: Rules; ingress: unknown; egress: unknown }[] = [
  {
    why: "proxied: to the proxy's address and port, and nowhere else",
    rules: rulesOf(research({ posture: "proxied", protocol: "vnc" }), site()),
    ingress: [{ from: [GATEWAY], ports: [{ protocol: "TCP", port: 5901 }] }],
    egress: [{ to: [{ ipBlock: { cidr: "10.0.0.5/32" } }], ports: [{ protocol: "TCP", port: 3128 }] }],
  },
  {
    why: "proxied by TLS: the port that the scheme stands for",
    rules: rulesOf(
      research({ posture: "proxied" }),
      site({ proxy: { url: "https://10.0.0.5", cidr: "10.0.0.5/32" } }),
    ),
    ingress: [{ from: [GATEWAY], ports: [{ protocol: "TCP", port: 3389 }] }],
    egress: [{ to: [{ ipBlock: { cidr: "10.0.0.5/32" } }], ports: [{ protocol: "TCP", port: 443 }] }],
  },
  {
    why: "open: everywhere",
    rules: rulesOf(research({ posture: "open" }), site()),
    ingress: [{ from: [GATEWAY], ports: [{ protocol: "TCP", port: 3389 }] }],
    egress: [{}],
  },
  {
    why: "airlock: from its holder's addresses, sorted, and nothing out",
    rules: rulesOf(airlock(), site()),
    ingress: [{
      from: [{ ipBlock: { cidr: "198.51.100.0/24" } }, { ipBlock: { cidr: "203.0.113.7/32" } }],
      ports: [{ protocol: "TCP", port: 2222 }],
    }],
    egress: undefined,
  },
  {
    why: "airlock without an address: an empty list of sources would let everybody in",
    rules: rulesOf(airlock({ allowedCidrs: [] }), site()),
    ingress: undefined,
    egress: undefined,
  },
  {
    why: "a gateway by address",
    rules: rulesOf(research(), site({ gateway: { cidr: "10.9.0.1/32" } })),
    ingress: [{ from: [{ ipBlock: { cidr: "10.9.0.1/32" } }], ports: [{ protocol: "TCP", port: 3389 }] }],
    egress: undefined,
  },
];

for (const { why, rules, ingress, egress } of POSTURES) {
  Deno.test(`openPolicyManifest: ${why}`, () => {
    const { spec } = openPolicyManifest(PERMIT, research(), rules, UID);
    assert.deepEqual([spec?.ingress, spec?.egress, spec?.policyTypes], [ingress, egress, [
      "Ingress",
      "Egress",
    ]]);
    assert.deepEqual(parseRules(JSON.stringify(rules)), rules, "what it says of itself is read back");
  });
}

Deno.test("parseRules: what WPS did not write is not believed", () => {
  const rules = rulesOf(research(), site());
  for (
    const text of [
      null,
      "",
      "{}",
      "[]",
      JSON.stringify({ ...rules, posture: "wide-open" }),
      JSON.stringify({ ...rules, more: 1 }),
    ]
  ) {
    assert.equal(parseRules(text), null, `${text}`);
  }
});
