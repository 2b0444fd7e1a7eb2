import assert from "node:assert/strict";
import { Fault } from "../../../src/core/fault.ts";
import { claimManifest } from "../../../src/drivers/kubernetes/manifests/claim.ts";
import { consolidationManifest } from "../../../src/drivers/kubernetes/manifests/consolidation.ts";
import { secretManifest } from "../../../src/drivers/kubernetes/manifests/identity.ts";
import { statefulSetManifest } from "../../../src/drivers/kubernetes/manifests/workspace.ts";
import { identityHash } from "../../../src/core/workspace.ts";
import { airlock, GATE, NAMESPACE, PERMIT, research, settings, site } from "./fixtures.ts";

function decoded(data: Record<string, string> | undefined): Record<string, string> {
  const text = (value: string): string => new TextDecoder().decode(Uint8Array.fromBase64(value));
  return Object.fromEntries(Object.entries(data ?? {}).map(([key, value]) => [key, text(value)]));
}

Deno.test("secretManifest: password, passwd and group of a researcher", () => {
  const workspace = research();
  const secret = secretManifest(PERMIT, workspace, { password: "pä55", hostKey: null });
  assert.equal(secret.metadata.name, "research-j-virtanen-6a73fdc32951");
  assert.equal(secret.metadata.namespace, NAMESPACE);
  assert.equal(secret.metadata.annotations?.["spe.wps/identity-hash"], identityHash(workspace));
  assert.deepEqual([secret.type, decoded(secret.data)], ["Opaque", {
    password: "pä55",
    passwd: "root:x:0:0:root:/root:/sbin/nologin\n" +
      "nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n" +
      "j.virtanen:x:21001:21001:j.virtanen:/tmp:/bin/sh\n",
    group: "root:x:0:\nnogroup:x:65534:\nj.virtanen:x:21001:\npermit:x:30100:j.virtanen\n",
  }]);
});

Deno.test("secretManifest: an airlock has its holder's keys, one a line, and its host key", () => {
  const keys = ["ssh-ed25519 AAAA a", "ssh-rsa BBBB b"];
  const { data } = secretManifest(PERMIT, airlock({ sshPublicKeys: keys }), {
    password: "p",
    hostKey: "PEM\n",
  });
  const texts = decoded(data);
  assert.deepEqual([texts["authorized_keys"], texts["ssh_host_key"]], [
    "ssh-ed25519 AAAA a\nssh-rsa BBBB b\n",
    "PEM\n",
  ]);
});

Deno.test("secretManifest: a group that is the member's own is not listed twice", () => {
  const { data } = secretManifest(PERMIT, research({ fsGroup: 21001 }), { password: "p", hostKey: null });
  assert.equal(decoded(data)["group"], "root:x:0:\nnogroup:x:65534:\nj.virtanen:x:21001:\n");
});

Deno.test("secretManifest: a name that would write a second account is refused", () => {
  for (const username of ["a:x:0:0", "a\nroot:x:0:0"]) {
    const workspace = research({ account: { username, uid: 21001, gid: 21001 } });
    assert.throws(() => secretManifest(PERMIT, workspace, { password: "p", hostKey: null }), Fault, username);
  }
});

Deno.test("claimManifest: access, size and class of a volume, whole", () => {
  const given = settings({ storageClasses: { project: "shared", default: "block" } });
  const volume = {
    id: { volume: "project", owner: null, generation: 1 },
    key: "project",
    access: "ReadWriteMany",
    size: "20Gi",
    sensitive: false,
  } as const;
  const name = "vol-project-244210e48437";
  assert.deepEqual(claimManifest(PERMIT, volume, { settings: given, singleNode: false }), {
    metadata: {
      name,
      namespace: NAMESPACE,
      labels: {
        "app.kubernetes.io/managed-by": "wps",
        "app.kubernetes.io/part-of": NAMESPACE,
        "app.kubernetes.io/component": "volume",
        "spe.wps/permit": NAMESPACE,
        "spe.wps/volume": name,
      },
      annotations: { "spe.wps/permit-id": PERMIT, "spe.wps/volume-key": "project" },
    },
    spec: {
      accessModes: ["ReadWriteMany"],
      storageClassName: "shared",
      resources: { requests: { storage: "20Gi" } },
    },
  });
});

Deno.test("claimManifest: a sensitive volume is born with the mark (invariant 3)", () => {
  const volume = {
    id: { volume: "home", owner: "a", generation: 2 },
    key: "home/a@2",
    access: "ReadWriteOnce",
    size: "1Gi",
    sensitive: true,
  } as const;
  const claim = claimManifest(PERMIT, volume, site());
  assert.equal(claim.metadata.annotations?.["spe.wps/tainted"], "true");
  assert.equal(claim.spec?.storageClassName, undefined, "the cluster's default class");
});

Deno.test("claimManifest: on one node ReadWriteOnce serves many pods", () => {
  const volume = {
    id: { volume: "raw", owner: null, generation: 1 },
    key: "raw",
    access: "ReadWriteMany",
    size: "1Gi",
    sensitive: true,
  } as const;
  assert.deepEqual(claimManifest(PERMIT, volume, site({ singleNode: true })).spec?.accessModes, [
    "ReadWriteOnce",
  ]);
});

Deno.test("consolidationManifest: the holder reads uploads and writes raw, tried again only when that helps, whole", () => {
  const name = "consolidate-uploads-hospital-a-44c1cf54fe96";
  const labels = {
    "app.kubernetes.io/managed-by": "wps",
    "app.kubernetes.io/part-of": NAMESPACE,
    "app.kubernetes.io/component": "consolidation",
    "spe.wps/permit": NAMESPACE,
    "app.kubernetes.io/name": "consolidation",
    "app.kubernetes.io/instance": name,
    "spe.wps/task": name,
  };
  const manifest = consolidationManifest(
    PERMIT,
    {
      from: { volume: "uploads", owner: "hospital-a", generation: 1 },
      fromKey: "uploads/hospital-a",
      into: {
        id: { volume: "raw", owner: null, generation: 1 },
        key: "raw",
        access: "ReadWriteMany",
        size: "1Gi",
        sensitive: true,
      },
      uid: 30000,
      gid: 30000,
      fsGroup: 30100,
      folder: "hospital-a/batch-1",
      holder: "hospital-a",
      accepted: "a".repeat(64),
    },
    "exit 0",
    GATE,
    site(),
  );
  const { metadata: { annotations }, spec } = manifest;
  const { "spe.wps/gate-hash": hash, "spe.wps/canaries": canaries, ...notes } = annotations ?? {};
  assert.deepEqual(notes, { "spe.wps/permit-id": PERMIT, "spe.wps/volume-key": "uploads/hospital-a" });
  assert.match(hash ?? "", /^[0-9a-f]+$/);
  assert.deepEqual(JSON.parse(canaries ?? ""), GATE.control);
  const gated = research({ sensitive: true });
  const initContainers = statefulSetManifest(PERMIT, gated, site(), GATE).spec?.template.spec?.initContainers;
  assert.deepEqual(spec?.template.spec?.initContainers?.map(({ name }) => name), ["gate"]);
  assert.deepEqual(manifest, {
    metadata: { name, namespace: NAMESPACE, labels, annotations },
    spec: {
      backoffLimit: 2,
      podReplacementPolicy: "Failed",
      podFailurePolicy: {
        rules: [
          {
            action: "FailJob",
            onExitCodes: { containerName: "consolidation", operator: "In", values: [3] },
          },
          // However often a gate fails, the Job goes on: a policy may be enforced later.
          { action: "Ignore", onExitCodes: { containerName: "gate", operator: "NotIn", values: [0] } },
        ],
      },
      template: {
        metadata: { labels, annotations },
        spec: {
          restartPolicy: "Never",
          serviceAccountName: "workspace",
          automountServiceAccountToken: false,
          enableServiceLinks: false,
          terminationGracePeriodSeconds: 30,
          dnsPolicy: "None",
          dnsConfig: { nameservers: ["127.0.0.1"] },
          securityContext: {
            runAsNonRoot: true,
            runAsUser: 30000,
            runAsGroup: 30000,
            fsGroup: 30100,
            fsGroupChangePolicy: "OnRootMismatch",
            seccompProfile: { type: "RuntimeDefault" },
          },
          initContainers, // the very gate of a workspace near data
          containers: [{
            name: "consolidation",
            image: "registry.site/tools:1",
            imagePullPolicy: "IfNotPresent",
            command: ["/bin/sh", "-c", "exit 0", "consolidation"],
            env: [
              { name: "SOURCE", value: "/uploads" },
              { name: "TARGET", value: "/raw" },
              { name: "FOLDER", value: "hospital-a/batch-1" },
              { name: "GROUP", value: "30100" },
              { name: "SCRATCH", value: "/tmp" },
              { name: "REPORT", value: "/dev/termination-log" },
              { name: "ACCEPTED", value: "a".repeat(64) },
              { name: "HOME", value: "/tmp" },
            ],
            terminationMessagePath: "/dev/termination-log",
            terminationMessagePolicy: "FallbackToLogsOnError",
            resources: { requests: { cpu: "100m", memory: "64Mi" }, limits: { cpu: "2", memory: "512Mi" } },
            securityContext: {
              allowPrivilegeEscalation: false,
              readOnlyRootFilesystem: true,
              capabilities: { drop: ["ALL"] },
            },
            volumeMounts: [
              { name: "from", mountPath: "/uploads", readOnly: true },
              { name: "into", mountPath: "/raw" },
              { name: "tmp", mountPath: "/tmp" },
            ],
          }],
          volumes: [
            {
              name: "from",
              persistentVolumeClaim: { claimName: "vol-uploads-hospital-a-44c1cf54fe96", readOnly: true },
            },
            { name: "into", persistentVolumeClaim: { claimName: "vol-raw-d7439bee2477" } },
            { name: "tmp", emptyDir: { sizeLimit: "4Gi" } },
          ],
        },
      },
    },
  });
});
