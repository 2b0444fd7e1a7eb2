import assert from "node:assert/strict";
import { claimManifest, volumeMarks } from "../../../src/drivers/kubernetes/manifests/claim.ts";
import { scopeManifests } from "../../../src/drivers/kubernetes/manifests/scope.ts";
import { statefulSetManifest } from "../../../src/drivers/kubernetes/manifests/workspace.ts";
import { objectsOf } from "../../../src/drivers/kubernetes/observe/objects.ts";
import type { Stored } from "../../../src/drivers/kubernetes/wire.ts";
import { asStored, NAMESPACE, PERMIT, research, settings, site, snapshot, TRAITS } from "./fixtures.ts";

const { secretsRole } = settings();
const scope = scopeManifests({ permitId: PERMIT, fsGroup: 30000, members: 1, secretsRole, traits: TRAITS });
const namespace = asStored(scope.namespace);
const VOLUME = {
  id: { volume: "raw", owner: null, generation: 1 },
  key: "raw",
  access: "ReadWriteMany",
  size: "20Gi",
  sensitive: false,
} as const;
const claim = asStored(claimManifest(PERMIT, VOLUME, site()));

function backing(marks: object, claimUid: string): Stored<"persistentvolumes"> {
  return {
    metadata: { name: "pv-1", uid: "uid-pv-1", resourceVersion: "1", ...marks },
    spec: { claimRef: { uid: claimUid } },
  };
}

/** "PersistentVolume pv-1 volume raw". */
function described(given: Parameters<typeof snapshot>[0]): string[] {
  return objectsOf(snapshot(given)).map(({ kind, name, of }) => `${kind} ${name} ${of.kind} ${of.key}`);
}

Deno.test("objectsOf: whatever bears the permit's mark, and what it belongs to", () => {
  const set = asStored(statefulSetManifest(PERMIT, research(), site(), null));
  const cases: [why: string, given: Parameters<typeof snapshot>[0], expected: string[]][] = [
    ["nothing at all", {}, []],
    ["the namespace", { namespace }, [`Namespace ${NAMESPACE} permit ${PERMIT}`]],
    ["a namespace of somebody else's", { namespace: asStored({ metadata: { name: NAMESPACE } }) }, []],
    ["a guard", { quotas: [asStored(scope.quota)] }, [
      `ResourceQuota ${scope.quota.metadata.name} permit ${PERMIT}`,
    ]],
    ["a service account that Kubernetes makes itself", {
      accounts: [asStored({ metadata: { name: "default" } })],
    }, []],
    ["a workspace's", { statefulSets: [set] }, [
      `StatefulSet ${set.metadata.name} workspace research/j.virtanen`,
    ]],
    ["a claim", { claims: [claim] }, [`PersistentVolumeClaim ${claim.metadata.name} volume raw`]],
    ["a volume that has no mark yet, by its claim", {
      claims: [claim],
      volumes: [backing({}, claim.metadata.uid)],
    }, [`PersistentVolumeClaim ${claim.metadata.name} volume raw`, "PersistentVolume pv-1 volume raw"]],
    ["a volume whose claim is gone, by its mark", {
      volumes: [backing(volumeMarks(PERMIT, "raw", false), "gone")],
    }, ["PersistentVolume pv-1 volume raw"]],
    ["a volume of somebody else's", { volumes: [backing({}, "other")] }, []],
  ];
  for (const [why, given, expected] of cases) assert.deepEqual(described(given), expected, why);
});

Deno.test("objectsOf: says which question finds it, and what ends with the namespace", () => {
  const found = objectsOf(
    snapshot({ namespace, claims: [claim], volumes: [backing({}, claim.metadata.uid)] }),
  );
  assert.deepEqual(found.map(({ foundBy, isWithin }) => [foundBy, isWithin]), [
    [`get namespace ${NAMESPACE}`, false],
    [`list of persistentvolumeclaims in namespace ${NAMESPACE}`, true],
    [`list of persistentvolumes labelled spe.wps/permit=${NAMESPACE}`, false],
  ]);
});
