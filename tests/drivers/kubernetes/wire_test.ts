import assert from "node:assert/strict";
import { ObjectSerializer } from "@kubernetes/client-node/dist/gen/models/ObjectSerializer.js";
import { claimManifest } from "../../../src/drivers/kubernetes/manifests/claim.ts";
import { consolidationManifest } from "../../../src/drivers/kubernetes/manifests/consolidation.ts";
import { secretManifest } from "../../../src/drivers/kubernetes/manifests/identity.ts";
import { openPolicyManifest, rulesOf } from "../../../src/drivers/kubernetes/manifests/policy.ts";
import { scopeManifests } from "../../../src/drivers/kubernetes/manifests/scope.ts";
import { serviceManifest, statefulSetManifest } from "../../../src/drivers/kubernetes/manifests/workspace.ts";
import { describePlace, groupOf, pathOf } from "../../../src/drivers/kubernetes/wire.ts";
import { airlock, GATE, PERMIT, research, settings, site, TRAITS } from "./fixtures.ts";

const scope = scopeManifests({ permitId: PERMIT, fsGroup: 1, members: 1, secretsRole: "r", traits: TRAITS });
const volume = {
  id: { volume: "raw", owner: null, generation: 1 },
  key: "raw",
  access: "ReadWriteMany",
  size: "1Gi",
  sensitive: true,
} as const;
const given = site({
  settings: settings({
    nodeSelector: { a: "b" },
    tolerations: [{ key: "a", operator: "Exists" }],
    imagePullSecrets: ["r"],
    runtimeClassName: "g",
    spreadPods: true,
    storageClasses: { default: "c" },
  }),
});

/** Every kind of object that WPS writes, with every field that it may set, and its model's name. */
const MANIFESTS: [string, object][] = [
  ["V1Namespace", scope.namespace],
  ["V1ResourceQuota", scope.quota],
  ["V1LimitRange", scope.limits],
  ["V1NetworkPolicy", scope.defaultDeny],
  ["V1ServiceAccount", scope.account],
  ["V1RoleBinding", scope.secretsAccess],
  ["V1StatefulSet", statefulSetManifest(PERMIT, research({ posture: "proxied" }), given, null)],
  ["V1StatefulSet", statefulSetManifest(PERMIT, airlock(), site({ singleNode: true }), null)],
  ["V1StatefulSet", statefulSetManifest(PERMIT, research({ sensitive: true }), given, GATE)],
  ["V1Service", serviceManifest(PERMIT, airlock(), given)],
  ["V1Secret", secretManifest(PERMIT, airlock(), { password: "p", hostKey: "k" })],
  ["V1NetworkPolicy", openPolicyManifest(PERMIT, airlock(), rulesOf(airlock(), given), "uid")],
  [
    "V1NetworkPolicy",
    openPolicyManifest(PERMIT, research(), rulesOf(research({ posture: "proxied" }), given), "uid"),
  ],
  ["V1PersistentVolumeClaim", claimManifest(PERMIT, volume, given)],
  [
    "V1Job",
    consolidationManifest(
      PERMIT,
      {
        from: volume.id,
        fromKey: "uploads/a",
        into: volume,
        uid: 1,
        gid: 1,
        fsGroup: 1,
        folder: "a",
        holder: "a",
        accepted: null,
      },
      "exit",
      GATE,
      given,
    ),
  ],
];

/** Plain JSON without the keys whose value is undefined. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

for (const [model, manifest] of MANIFESTS) {
  Deno.test(`Wire: client-node's ${model} reads and writes ${Reflect.get(Reflect.get(manifest, "metadata"), "name")} unchanged`, () => {
    // What the model does not know, or names otherwise on the wire (`_from`), would be lost here.
    const read = ObjectSerializer.deserialize(plain(manifest), model, "");
    assert.deepEqual(plain(ObjectSerializer.serialize(read, model, "")), plain(manifest));
  });
}

Deno.test("pathOf, groupOf, describePlace: where an object is, for the server, RBAC and people", () => {
  const place = { namespace: "a", name: "b" };
  assert.equal(pathOf("pods", place), "/api/v1/namespaces/a/pods/b");
  assert.equal(pathOf("statefulsets", { namespace: "a" }), "/apis/apps/v1/namespaces/a/statefulsets");
  assert.equal(pathOf("persistentvolumes", { name: "../x" }), "/api/v1/persistentvolumes/..%2Fx");
  assert.deepEqual([groupOf("pods"), groupOf("jobs")], ["", "batch"]);
  assert.equal(describePlace("statefulsets", place), "StatefulSet a/b");
  assert.equal(describePlace("pods", {}), "pods");
});
