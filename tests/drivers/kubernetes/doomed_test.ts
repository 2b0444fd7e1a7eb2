/** What keeps a deleted permit's namespace from being ended: everything that somebody else made, and nothing else. */
import assert from "node:assert/strict";
import {
  CLUSTER_PERMISSIONS,
  SECRET_PERMISSIONS,
} from "../../../src/drivers/kubernetes/check/permissions.ts";
import { DOOMED_KINDS, doomedAmong } from "../../../src/drivers/kubernetes/doomed.ts";
import type { MetadataOnly, Resource } from "../../../src/drivers/kubernetes/wire.ts";
import { asStored, NAMESPACE, PERMIT, settings } from "./fixtures.ts";

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
    const doomed = doomedAmong(new Map(found), PERMIT, settings(given));
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
