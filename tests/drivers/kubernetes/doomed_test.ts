/** What keeps a deleted permit's namespace from being ended: everything that somebody else made, and nothing else. */
import assert from "node:assert/strict";
import {
  CLUSTER_PERMISSIONS,
  SECRET_PERMISSIONS,
} from "../../../src/drivers/kubernetes/check/permissions.ts";
import { DOOMED_KINDS, doomedAmong } from "../../../src/drivers/kubernetes/doomed.ts";
import { type MetadataOnly, pathOf, type Resource, RESOURCES } from "../../../src/drivers/kubernetes/wire.ts";
import { destroyScope } from "../../../src/drivers/kubernetes/actions/scope.ts";
import { Fault } from "../../../src/core/fault.ts";
import type { Writing } from "../../../src/drivers/kubernetes/write.ts";
import { type Double, startDouble, status, stored } from "./double.ts";
import { asStored, NAMESPACE, PERMIT, settings, TRAITS } from "./fixtures.ts";

const MARK = {
  labels: { "app.kubernetes.io/managed-by": "wps" },
  annotations: { "spe.wps/permit-id": PERMIT },
};
const made = (name: string, more: object = {}): MetadataOnly => asStored({ metadata: { name, ...more } });
const ownedBy = (uid: string, controller = true): object => ({
  ownerReferences: [{ kind: "Any", name: "any", uid, controller }],
});

const CASES: { why: string; found: [Resource, MetadataOnly[]][]; given?: object; named: string[] }[] = [
  { why: "an empty namespace", found: [], named: [] },
  { why: "WPS's own", found: [["statefulsets", [made("research-a", MARK)]]], named: [] },
  {
    why: "one of WPS's, of another permit",
    found: [["secrets", [made("s", { ...MARK, annotations: { "spe.wps/permit-id": "other" } })]]],
    named: [`Secret ${NAMESPACE}/s`],
  },
  {
    why: "what Kubernetes puts into each namespace",
    found: [["configmaps", [made("kube-root-ca.crt")]], ["serviceaccounts", [made("default")]]],
    named: [],
  },
  {
    why: "the same names of other kinds",
    found: [["secrets", [made("kube-root-ca.crt")]], ["configmaps", [made("default")]]],
    named: [`Secret ${NAMESPACE}/kube-root-ca.crt`, `ConfigMap ${NAMESPACE}/default`],
  },
  {
    why: "a service account's token",
    found: [["secrets", [made("default-token", {
      annotations: { "kubernetes.io/service-account.name": "default" },
    })]]],
    named: [],
  },
  {
    why: "a person's Deployment: what its controllers made is told of by it",
    found: [
      ["deployments", [made("notebook")]],
      ["replicasets", [made("notebook-1", ownedBy("uid-notebook"))]],
      ["pods", [made("notebook-1-a", ownedBy("uid-notebook-1"))]],
    ],
    named: [`Deployment ${NAMESPACE}/notebook`],
  },
  {
    why: "what something made that nobody looks for",
    found: [["statefulsets", [made("database", ownedBy("uid-of-a-custom-resource"))]]],
    named: [`StatefulSet ${NAMESPACE}/database`],
  },
  {
    why: "a budget, an autoscaler, a lease, a controller, a template that a person made",
    found: [
      ["poddisruptionbudgets", [made("notebook")]],
      ["horizontalpodautoscalers", [made("notebook")]],
      ["leases", [made("leader")]],
      ["replicationcontrollers", [made("old")]],
      ["podtemplates", [made("mould")]],
    ],
    named: [
      `PodDisruptionBudget ${NAMESPACE}/notebook`,
      `HorizontalPodAutoscaler ${NAMESPACE}/notebook`,
      `Lease ${NAMESPACE}/leader`,
      `ReplicationController ${NAMESPACE}/old`,
      `PodTemplate ${NAMESPACE}/mould`,
    ],
  },
  {
    why: "addresses that controllers keep, of a Service that has just gone, as each version marks them",
    found: [
      ["endpointslices", [
        made("research-a-x", {
          labels: { "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io" },
          ...ownedBy("uid-of-a-service-that-went"),
        }),
      ]],
      ["endpoints", [
        made("a", { labels: { "endpoints.kubernetes.io/managed-by": "endpoint-controller" } }),
        made("b", {
          annotations: { "endpoints.kubernetes.io/last-change-trigger-time": "2026-11-23T00:00:00Z" },
        }),
        made("c", { managedFields: [{ manager: "kube-controller-manager", operation: "Update" }] }),
      ]],
    ],
    named: [],
  },
  {
    why: "addresses that a person wrote",
    found: [
      ["endpointslices", [made("outside", {
        labels: { "endpointslice.kubernetes.io/managed-by": "staff" },
        managedFields: [{ manager: "kubectl", operation: "Update" }],
      })]],
      ["endpoints", [
        made("database"),
        made("mixed", {
          managedFields: [{ manager: "kube-controller-manager" }, { manager: "kubectl" }],
        }),
      ]],
      ["configmaps", [made("not-addresses", {
        managedFields: [{ manager: "kube-controller-manager", operation: "Update" }],
      })]],
    ],
    named: [
      `EndpointSlice ${NAMESPACE}/outside`,
      `Endpoints ${NAMESPACE}/database`,
      `Endpoints ${NAMESPACE}/mixed`,
      `ConfigMap ${NAMESPACE}/not-addresses`,
    ],
  },
  {
    why: "an owner that does not control it",
    found: [
      ["configmaps", [made("owner")]],
      ["pods", [made("debug", ownedBy("uid-owner", false))]],
    ],
    named: [`ConfigMap ${NAMESPACE}/owner`, `Pod ${NAMESPACE}/debug`],
  },
  {
    why: "what the site says that another tool puts into each namespace",
    found: [["secrets", [made("registry")]], ["configmaps", [made("site-ca"), made("notes")]]],
    given: { imagePullSecrets: ["registry"], inEachNamespace: ["ConfigMap/site-ca"] },
    named: [`ConfigMap ${NAMESPACE}/notes`],
  },
];

for (const { why, found, given = {}, named } of CASES) {
  Deno.test(`doomedAmong: ${why}`, () => {
    const doomed = doomedAmong(
      found.map(([resource, objects]) => ({ kind: RESOURCES[resource].kind, objects })),
      PERMIT,
      settings(given),
    );
    assert.deepEqual(doomed.map(({ object }) => object), named);
    assert.ok(doomed.every(({ why }) => why.length > 0));
  });
}

Deno.test("DOOMED_KINDS: each may be listed, and each kind that WPS makes is among them", () => {
  const may = [...CLUSTER_PERMISSIONS, ...SECRET_PERMISSIONS];
  for (const kind of DOOMED_KINDS) {
    assert.ok(may.some(({ resource, verbs }) => resource === kind && verbs.includes("list")), kind);
  }
  const inside = may.filter(({ resource, verbs }) => verbs.includes("create") && resource !== "namespaces")
    .map(({ resource }) => resource);
  assert.deepEqual(inside.filter((kind) => !DOOMED_KINDS.some((known) => known === kind)), []);
});

/** Snapshots, which the role may list here, backups, which it may not, and a metric, which nobody keeps. */
const DISCOVERY = {
  kind: "APIGroupDiscoveryList",
  items: [
    group("snapshot.storage.k8s.io", [["volumesnapshots", "VolumeSnapshot", ["list", "create", "delete"]]]),
    group("backup.site", [["backups", "Backup", ["list", "create"]]]),
    group("metrics.k8s.io", [["pods", "PodMetrics", ["get", "list"]]]),
  ],
};
function group(name: string, kinds: [string, string, string[]][]): object {
  const resources = kinds.map(([resource, kind, verbs]) => ({
    resource,
    responseKind: { group: name, version: "v1", kind },
    scope: "Namespaced",
    verbs,
  }));
  return { metadata: { name }, versions: [{ version: "v1", resources }] };
}

const SNAPSHOTS = `/apis/snapshot.storage.k8s.io/v1/namespaces/${NAMESPACE}/volumesnapshots`;
const NAMESPACE_PATH = pathOf("namespaces", { name: NAMESPACE });

/** A namespace of WPS's own without contents but for what `answers` gives by "METHOD path". */
function clusterWith(answers: Record<string, (url: URL) => Response>): Double {
  return startDouble((request) => {
    const url = new URL(request.url);
    const own = answers[`${request.method} ${url.pathname}`];
    if (own !== undefined) return own(url);
    if (url.pathname === NAMESPACE_PATH) {
      return Response.json(stored("Namespace", NAMESPACE, { metadata: MARK }));
    }
    if (url.pathname === "/apis") return Response.json(DISCOVERY);
    if (url.pathname.endsWith("/selfsubjectrulesreviews")) {
      const rule = { verbs: ["list"], apiGroups: ["snapshot.storage.k8s.io"], resources: ["*"] };
      return Response.json({ status: { incomplete: false, resourceRules: [rule] } });
    }
    return Response.json({ metadata: { resourceVersion: "1" }, items: [] });
  });
}

function end(server: Double): Promise<{ detail: string }> {
  const clock = { now: () => 0, sleep: () => Promise.resolve() };
  const writing: Writing = {
    client: server.client,
    permitId: PERMIT,
    signal: new AbortController().signal,
    clock,
  };
  const seen = { uid: `uid-${NAMESPACE}`, version: "10" };
  return destroyScope(writing, { kind: "destroy-scope", seen }, settings(), TRAITS);
}

const isDeletion = (server: Double): boolean =>
  server.requests.some(({ method, url }) => method === "DELETE" && new URL(url).pathname === NAMESPACE_PATH);

Deno.test("destroyScope: what the role may not list is said, in few requests", async () => {
  await using server = clusterWith({});
  const { detail } = await end(server);
  assert.match(detail, /did not look for: backups\.backup\.site$/);
  assert.ok(isDeletion(server));
  // The namespace, the kinds that are known, discovery, the rules, one other kind, the deletion.
  assert.equal(server.requests.length, DOOMED_KINDS.length + 5);
});

Deno.test("destroyScope: a custom resource on a later page keeps the namespace, and is named", async () => {
  await using server = clusterWith({
    [`GET ${SNAPSHOTS}`]: ({ searchParams }) =>
      Response.json(
        searchParams.get("continue") === "more"
          ? { metadata: { resourceVersion: "1" }, items: [stored("VolumeSnapshot", "of-friday")] }
          : { metadata: { resourceVersion: "1", continue: "more" }, items: [] },
      ),
  });
  await assert.rejects(end(server), (thrown) => {
    assert.ok(thrown instanceof Fault);
    assert.equal(thrown.reason, "foreign-object");
    assert.match(thrown.message, new RegExp(`VolumeSnapshot ${NAMESPACE}/of-friday would go with it`));
    assert.match(thrown.advice ?? "", /did not look for: backups\.backup\.site/);
    return true;
  });
  assert.ok(!isDeletion(server));
});

Deno.test("destroyScope: a kind whose definition went is no obstacle, one that cannot be read is", async () => {
  await using gone = clusterWith({ [`GET ${SNAPSHOTS}`]: () => status(404, "NotFound", "no such kind") });
  await end(gone);
  assert.ok(isDeletion(gone));
  for (const path of [SNAPSHOTS, "/apis", pathOf("poddisruptionbudgets", { namespace: NAMESPACE })]) {
    await using server = clusterWith({ [`GET ${path}`]: () => status(500, "InternalError", "no") });
    await assert.rejects(end(server), (thrown) => thrown instanceof Fault && thrown.reason === "unavailable");
    assert.ok(!isDeletion(server), path);
  }
});
