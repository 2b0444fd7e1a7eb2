import assert from "node:assert/strict";
import { networkHash } from "../../../src/core/workspace.ts";
import type { DesiredWorkspace } from "../../../src/core/workspace.ts";
import {
  openPolicyManifest,
  openSpec,
  rulesOf,
  shutPolicyManifest,
  shutSpec,
} from "../../../src/drivers/kubernetes/manifests/policy.ts";
import { DEFAULT_DENY_SPEC, scopeManifests } from "../../../src/drivers/kubernetes/manifests/scope.ts";
import { networkOf, selects } from "../../../src/drivers/kubernetes/observe/network.ts";
import { type PolicyReading, readPolicies } from "../../../src/drivers/kubernetes/actions/policies.ts";
import { foreignOf } from "../../../src/drivers/kubernetes/observe/foreign.ts";
import type { Stored } from "../../../src/drivers/kubernetes/wire.ts";
import { MACHINE_CLOCK } from "../../../src/machine.ts";
import { startDouble } from "./double.ts";
import { asStored, PERMIT, research, site, snapshot, TRAITS } from "./fixtures.ts";

type Policy = Stored<"networkpolicies">;

const KEY = "research/j.virtanen";
const NAME = "research-j-virtanen-6a73fdc32951";
const LABELS = { "spe.wps/workspace": NAME };
const UID = "6f1b2c7e-0000-4000-8000-000000000001";
const OPENED = { ...LABELS, "spe.wps/opened": UID };
const PODS = { live: [OPENED], next: LABELS };

const scope = scopeManifests({ permitId: PERMIT, fsGroup: 1, members: 1, secretsRole: "r", traits: TRAITS });

/** As the API server returns it: without the empty lists that were sent. */
const denied: Policy = { ...asStored(scope.defaultDeny), spec: DEFAULT_DENY_SPEC };

const shut: Policy = { ...asStored(shutPolicyManifest(PERMIT, research(), "1")), spec: shutSpec(NAME) };

function open(workspace: DesiredWorkspace = research(), at = site()): Policy {
  return asStored(openPolicyManifest(PERMIT, workspace, rulesOf(workspace, at), UID));
}

function altered(policy: Policy, spec: object): Policy {
  return { ...policy, spec: { ...(policy.spec ?? { podSelector: {} }), ...spec } };
}

function stranger(name: string, spec: object): Policy {
  const metadata = { name, uid: `uid-${name}`, resourceVersion: "3" };
  return { metadata, spec: { podSelector: {}, policyTypes: ["Egress"], ...spec } };
}

const SEEN = { uid: `uid-${NAME}`, version: "7" };

interface Case {
  why: string;
  policies: Policy[];
  /** Of each pod there is; absent: one pod, whose network was opened. */
  live?: Record<string, string>[];
  state: "shut" | "open" | "breached";
  by?: RegExp;
  seen?: typeof SEEN | null;
}

const CASES: Case[] = [
  { why: "nothing of its own under an intact default-deny", policies: [denied], state: "shut", seen: null },
  { why: "its own shut policy", policies: [denied, shut], state: "shut", seen: SEEN },
  { why: "its own shut policy alone: it denies by itself", policies: [shut], state: "shut", seen: SEEN },
  { why: "its own opened policy", policies: [denied, open()], state: "open", seen: SEEN },
  {
    why: "nothing at all: everything is open",
    policies: [],
    state: "breached",
    by: /wps-default-deny/,
    seen: null,
  },
  {
    why: "a default-deny that lets something out",
    policies: [altered(denied, { egress: [{}] }), open()],
    state: "breached",
    by: /wps-default-deny \(altered\)/,
    seen: SEEN,
  },
  {
    why: "a default-deny without our mark",
    policies: [{ ...denied, metadata: { ...denied.metadata, annotations: {} } }],
    state: "breached",
    by: /missing or altered/,
  },
  {
    why: "a default-deny that only looks inwards, and nothing else",
    policies: [altered(denied, { policyTypes: ["Ingress"] })],
    state: "breached",
    by: /missing or altered/,
  },
  {
    why: "a stranger's policy that lets out whatever it selects",
    policies: [denied, shut, stranger("let-me-out", { egress: [{}] })],
    state: "breached",
    by: /^NetworkPolicy let-me-out$/,
    seen: SEEN,
  },
  {
    why: "a stranger's policy that lets somebody in",
    policies: [denied, stranger("let-me-in", { policyTypes: ["Ingress"], ingress: [{}] })],
    state: "breached",
    by: /let-me-in/,
  },
  {
    why: "a stranger's policy that only denies",
    policies: [denied, shut, stranger("deny-more", {})],
    state: "shut",
  },
  {
    why: "a stranger's policy for other pods",
    policies: [
      denied,
      shut,
      stranger("others", { podSelector: { matchLabels: { app: "x" } }, egress: [{}] }),
    ],
    state: "shut",
  },
  {
    why: "its own policy with a rule that WPS did not write",
    policies: [denied, altered(open(), { egress: [{}] })],
    state: "breached",
    by: /\(altered\)/,
  },
  {
    why: "its own opened policy for every pod of the workspace instead of one",
    policies: [denied, altered(open(), { podSelector: { matchLabels: LABELS } })],
    state: "breached",
    by: /\(altered\)/,
  },
  {
    why: "its own policy altered so that it selects nothing: the default-deny holds",
    policies: [denied, altered(shut, { podSelector: { matchLabels: { app: "nobody" } } })],
    state: "shut",
  },
  {
    why: "the same without a default-deny",
    policies: [altered(shut, { podSelector: { matchLabels: { app: "nobody" } } })],
    state: "breached",
  },
  {
    why: "an altered policy of another workspace that selects this one as well",
    policies: [
      denied,
      shut,
      altered(
        asStored(shutPolicyManifest(PERMIT, { key: "research/l.moreau", kind: "research" }, "1")),
        { podSelector: {}, egress: [{}] },
      ),
    ],
    state: "breached",
    by: /research-l-moreau.*\(altered\)/,
  },
  {
    why: "a policy of our form that belongs to another permit",
    policies: [denied, {
      ...open(),
      metadata: { ...open().metadata, annotations: { "spe.wps/permit-id": "other" } },
    }],
    live: [OPENED],
    state: "breached",
  },
  {
    why: "its own opened policy alone: what it selects it denies all else",
    policies: [open()],
    state: "open",
    seen: SEEN,
  },
  {
    why: "its own policy open for another pod, and no default-deny: nothing selects this one",
    policies: [open()],
    live: [{ ...LABELS, "spe.wps/opened": "another" }],
    state: "breached",
    by: /wps-default-deny \(missing or altered\)/,
    seen: SEEN,
  },
  {
    why: "the same, one of two pods: the older one ends",
    policies: [open()],
    live: [OPENED, LABELS],
    state: "breached",
    by: /wps-default-deny/,
  },
  {
    why: "no default-deny, and a pod that somebody took the label off",
    policies: [open()],
    live: [LABELS],
    state: "breached",
    by: /wps-default-deny/,
  },
  {
    why: "the same pod under a default-deny, which still selects it",
    policies: [denied, open()],
    live: [LABELS],
    state: "open",
  },
  {
    why: "no default-deny, open for a pod that is gone: the next one is selected by nothing",
    policies: [open()],
    live: [],
    state: "breached",
    by: /wps-default-deny/,
  },
  {
    why: "no default-deny and no pod: the next one is shut by its own policy",
    policies: [shut],
    live: [],
    state: "shut",
  },
  {
    why: "no default-deny, and a pod without the workspace's label: its own shut policy does not select it",
    policies: [shut],
    live: [{}],
    state: "breached",
    by: /wps-default-deny/,
  },
  {
    why: "a default-deny that is on its way out, and its own policy open for another pod",
    policies: [
      { ...denied, metadata: { ...denied.metadata, deletionTimestamp: "2026-11-23T08:00:00Z" } },
      open(),
    ],
    live: [LABELS],
    state: "breached",
    by: /wps-default-deny/,
  },
  {
    why: "rules that say so themselves, but are not those of this site's settings: a way in for others",
    policies: [denied, open(research(), site({ gateway: { cidr: "0.0.0.0/0" } }))],
    state: "breached",
    by: /other network settings/,
  },
  {
    why: "the same for the proxy: a way out to others",
    policies: [
      denied,
      open(research({ posture: "proxied" }), site({ proxy: { url: "http://p:1", cidr: "0.0.0.0/0" } })),
    ],
    state: "breached",
    by: /other network settings/,
  },
  {
    why: "rules of other settings that this posture does not use",
    policies: [denied, open(research(), site({ proxy: null }))],
    state: "open",
  },
];

for (const { why, policies, live = [OPENED], state, by, seen } of CASES) {
  Deno.test(`networkOf: ${state} with ${why}`, () => {
    const network = networkOf(snapshot({ policies }), KEY, { live, next: LABELS }, site());
    assert.equal(network.state, state, JSON.stringify(network));
    if (network.state === "breached" && by !== undefined) assert.match(network.by, by);
    if (seen !== undefined) assert.deepEqual(network.seen, seen);
  });
}

Deno.test("networkOf: an opened network tells posture, rules and the one pod it is for", () => {
  const workspace = research({ posture: "proxied" });
  const network = networkOf(snapshot({ policies: [denied, open(workspace)] }), KEY, PODS, site());
  assert.deepEqual(network, {
    state: "open",
    posture: "proxied",
    hash: networkHash(workspace),
    openedFor: UID,
    seen: SEEN,
  });
});

Deno.test("networkOf: an annotation cannot make wider rules look like ours", () => {
  const { spec } = open(research({ posture: "open" }));
  const forged = { ...open(), spec };
  assert.equal(
    networkOf(snapshot({ policies: [denied, forged] }), KEY, PODS, site()).state,
    "breached",
  );
});

const SELECTORS: { why: string; selector: Parameters<typeof selects>[0]; expected: boolean }[] = [
  { why: "none: every pod", selector: undefined, expected: true },
  { why: "empty: every pod", selector: {}, expected: true },
  { why: "equal labels", selector: { matchLabels: { a: "1" } }, expected: true },
  { why: "another value", selector: { matchLabels: { a: "2" } }, expected: false },
  {
    why: "In",
    selector: { matchExpressions: [{ key: "a", operator: "In", values: ["1", "2"] }] },
    expected: true,
  },
  {
    why: "In without the label",
    selector: { matchExpressions: [{ key: "b", operator: "In", values: ["1"] }] },
    expected: false,
  },
  {
    why: "NotIn",
    selector: { matchExpressions: [{ key: "a", operator: "NotIn", values: ["1"] }] },
    expected: false,
  },
  {
    why: "NotIn without the label",
    selector: { matchExpressions: [{ key: "b", operator: "NotIn", values: ["1"] }] },
    expected: true,
  },
  { why: "Exists", selector: { matchExpressions: [{ key: "a", operator: "Exists" }] }, expected: true },
  {
    why: "DoesNotExist",
    selector: { matchExpressions: [{ key: "a", operator: "DoesNotExist" }] },
    expected: false,
  },
  {
    why: "an operator of the future: doubt opens nothing",
    selector: { matchExpressions: [{ key: "a", operator: "Like" }] },
    expected: true,
  },
];

for (const { why, selector, expected } of SELECTORS) {
  Deno.test(`selects: ${expected} for ${why}`, () => assert.equal(selects(selector, { a: "1" }), expected));
}

Deno.test("openSpec: what is written is what is read back as ours", () => {
  const rules = rulesOf(research({ posture: "open" }), site());
  const policy = { ...open(research({ posture: "open" })), spec: openSpec(NAME, rules, UID) };
  assert.equal(networkOf(snapshot({ policies: [denied, policy] }), KEY, PODS, site()).state, "open");
});

Deno.test("foreignOf: a policy that lets traffic through is named; ours, altered or not, is not foreign", () => {
  const namespace = asStored(scope.namespace);
  const policies = [
    denied,
    altered(shut, { egress: [{}] }),
    stranger("let-me-out", { egress: [{}] }),
    stranger("deny-more", {}),
  ];
  const found = foreignOf(snapshot({ namespace, policies }));
  assert.deepEqual(found.map(({ object }) => object), [
    `NetworkPolicy ${namespace.metadata.name}/let-me-out`,
  ]);
});

Deno.test("readPolicies: a pod that its own opened policy does not select is breached without a default-deny", async () => {
  let policies: Policy[] = [];
  await using server = startDouble(() =>
    Response.json({ metadata: { resourceVersion: "9" }, items: policies })
  );
  const { signal } = new AbortController();
  const writing = { client: server.client, permitId: PERMIT, signal, clock: MACHINE_CLOCK };
  const read = (now: Policy[], labels: Record<string, string>): Promise<PolicyReading> => {
    policies = now;
    const metadata = { name: "research-0", uid: UID, resourceVersion: "1", labels };
    return readPolicies(writing, KEY, { metadata }, site());
  };
  const { state, by, altered: texts } = await read([open()], LABELS);
  assert.equal(state, "breached");
  assert.match(by ?? "", /wps-default-deny/);
  assert.equal(texts.length, 1, "and the evidence says what is missing");
  assert.equal((await read([open()], OPENED)).state, "open", "its own rules select it");
  assert.equal((await read([denied, open()], LABELS)).state, "open", "the default-deny selects it");
  assert.equal((await read([shut], LABELS)).state, "shut", "its own shut policy selects it");
});
