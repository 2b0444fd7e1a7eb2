/** Kinds that only discovery knows: which a namespace may hold, and which WPS may list. */
import assert from "node:assert/strict";
import { checkOtherKinds } from "../../../src/drivers/kubernetes/check/permissions.ts";
import { kindsIn, nameOfKind, someOf } from "../../../src/drivers/kubernetes/other_kinds.ts";
import { listableAmong } from "../../../src/drivers/kubernetes/rights.ts";
import { startDouble } from "./double.ts";

const signal = new AbortController().signal;

const resource = (name: string, kind: string, given: object = {}): object => ({
  resource: name,
  responseKind: { group: "", version: "v1", kind },
  scope: "Namespaced",
  verbs: ["create", "delete", "get", "list"],
  ...given,
});
const discovery = (groups: Record<string, Record<string, object[]>>, freshness = "Current"): object => ({
  kind: "APIGroupDiscoveryList",
  items: Object.entries(groups).map(([name, versions]) => ({
    metadata: { name },
    versions: Object.entries(versions).map(([version, resources]) => ({ version, freshness, resources })),
  })),
});

const KINDS: { why: string; answer: object; kinds: string[]; unknown?: RegExp }[] = [
  {
    why: "a custom resource, once, in the version that the server names first",
    answer: discovery({ "a.site": { v2: [resource("as", "A")], v1: [resource("as", "A")] } }),
    kinds: ["a.site/v2 as"],
  },
  {
    why: "a kind that WPS knows is looked for anyway; the same plural of another group is another kind",
    answer: discovery({
      "networking.k8s.io": { v1: [resource("networkpolicies", "NetworkPolicy")] },
      "crd.projectcalico.org": { v1: [resource("networkpolicies", "NetworkPolicy")] },
    }),
    kinds: ["crd.projectcalico.org/v1 networkpolicies"],
  },
  {
    why: "what is cluster-wide, a question or a metric is in no namespace",
    answer: discovery({
      "a.site": {
        v1: [
          resource("nodes", "N", { scope: "Cluster" }),
          resource("reviews", "R", { verbs: ["create"] }),
          resource("metrics", "M", { verbs: ["get", "list"] }),
        ],
      },
    }),
    kinds: [],
  },
  {
    why: "records of the past",
    answer: discovery({
      apps: { v1: [resource("controllerrevisions", "ControllerRevision")] },
      "events.k8s.io": { v1: [resource("events", "Event")] },
    }),
    kinds: [],
  },
  {
    why: "a server behind the API server that does not answer may keep anything",
    answer: discovery({ "a.site": { v1: [] } }, "Stale"),
    kinds: [],
    unknown: /^all of a\.site\/v1 /,
  },
  {
    why: "an API server that cannot tell",
    answer: { kind: "APIGroupList", groups: [] },
    kinds: [],
    unknown: /1\.27/,
  },
];

for (const { why, answer, kinds, unknown } of KINDS) {
  Deno.test(`kindsIn: ${why}`, () => {
    const found = kindsIn(answer);
    assert.deepEqual(found.kinds.map(({ apiVersion, resource }) => `${apiVersion} ${resource}`), kinds);
    assert.equal(found.unknown.length, unknown === undefined ? 0 : 1);
    if (unknown !== undefined) assert.match(found.unknown[0] ?? "", unknown);
  });
}

const ASKED = ["as", "bs"].map((resource) => ({ group: "a.site", resource }));
const list = { verbs: ["list"], apiGroups: ["a.site"], resources: ["as"] };
const RULES: { why: string; rules: object[]; incomplete?: boolean; may: string[]; reviews: number }[] = [
  { why: "what a rule names", rules: [list], may: ["as"], reviews: 1 },
  {
    why: "stars stand for everything",
    rules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"] }],
    may: ["as", "bs"],
    reviews: 1,
  },
  { why: "not another verb", rules: [{ ...list, verbs: ["get"] }], may: [], reviews: 1 },
  { why: "not another group", rules: [{ ...list, apiGroups: ["b.site"] }], may: [], reviews: 1 },
  { why: "not a rule for one object", rules: [{ ...list, resourceNames: ["one"] }], may: [], reviews: 1 },
  {
    why: "one by one where an authorizer cannot tell its rules",
    rules: [list],
    incomplete: true,
    may: ["as", "bs"],
    reviews: 2,
  },
];

for (const { why, rules, incomplete = false, may, reviews } of RULES) {
  Deno.test(`listableAmong: ${why}`, async () => {
    await using server = startDouble((request) =>
      Response.json({
        status: request.url.endsWith("selfsubjectrulesreviews")
          ? { incomplete, resourceRules: rules }
          : { allowed: true },
      })
    );
    const granted = await listableAmong(server.client, ASKED, "wps-a", signal);
    assert.deepEqual([...granted].map(({ resource }) => resource), may);
    assert.equal(server.requests.length, reviews);
  });
}

Deno.test("checkOtherKinds: warns of what would go unseen, with the commands; ok once it may be listed", async () => {
  for (const may of [false, true]) {
    await using server = startDouble((request) =>
      Response.json(
        request.url.endsWith("/apis")
          ? discovery({ "a.site": { v1: [resource("as", "A")] } })
          : { status: { resourceRules: may ? [list] : [] } },
      )
    );
    const line = await checkOtherKinds(
      server.client,
      () => Promise.resolve("system:serviceaccount:wps:wps"),
      signal,
    );
    assert.equal(line.result, may ? "ok" : "warning");
    assert.equal(line.advice === "", may);
    if (!may) assert.match(line.detail, /as\.a\.site/);
    if (!may) assert.match(line.advice, /--verb=list .* --user=system:serviceaccount:wps:wps$/);
  }
});

Deno.test("someOf: names a few of many, and counts the rest", () => {
  const names = Array.from({ length: 12 }, (_, n) => nameOfKind({ resource: `k${n}`, group: "a.site" }));
  assert.match(someOf(names), /k9\.a\.site and 2 more$/);
  assert.equal(someOf(["a", "b"]), "a, b");
});
