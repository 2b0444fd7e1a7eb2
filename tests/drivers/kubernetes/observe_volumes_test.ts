import assert from "node:assert/strict";
import type { ObservedVolume } from "../../../src/core/observed.ts";
import { claimManifest, volumeMarks } from "../../../src/drivers/kubernetes/manifests/claim.ts";
import { volumesOf } from "../../../src/drivers/kubernetes/observe/volumes.ts";
import type { Stored } from "../../../src/drivers/kubernetes/wire.ts";
import { pendingOf } from "../../../src/drivers/kubernetes/observe/trouble.ts";
import { asStored, NAMESPACE, PERMIT, site, snapshot } from "./fixtures.ts";

type Claim = Stored<"persistentvolumeclaims">;
type Backing = Stored<"persistentvolumes">;

const NAME = "vol-raw-d7439bee2477";
const VOLUME = {
  id: { volume: "raw", owner: null, generation: 1 },
  key: "raw",
  access: "ReadWriteMany",
  size: "20Gi",
  sensitive: false,
} as const;

function claim(phase: string, more: { metadata?: object; tainted?: boolean } = {}): Claim {
  const made = asStored(
    claimManifest(PERMIT, { ...VOLUME, sensitive: more.tainted ?? false }, site()),
    more.metadata,
  );
  return {
    ...made,
    spec: { ...made.spec, volumeName: phase === "Pending" ? undefined : "pv-1" },
    status: { phase },
  };
}

function backing(
  policy: "Retain" | "Delete",
  phase: string,
  more: { marked?: boolean; tainted?: boolean; metadata?: object; claimUid?: string } = {},
): Backing {
  const { marked = true, tainted = false, claimUid = `uid-${NAME}` } = more;
  return {
    metadata: {
      name: "pv-1",
      uid: "uid-pv-1",
      resourceVersion: "12",
      ...(marked ? volumeMarks(PERMIT, "raw", tainted) : {}),
      ...more.metadata,
    },
    spec: {
      persistentVolumeReclaimPolicy: policy,
      capacity: { storage: "21Gi" },
      claimRef: { namespace: NAMESPACE, name: NAME, uid: claimUid },
    },
    status: { phase },
  };
}

const DELETED = { deletionTimestamp: "2026-01-01T00:00:00Z" };
const CLAIM_SEEN = { uid: `uid-${NAME}`, version: "7" };
const BACKING_SEEN = { uid: "uid-pv-1", version: "12" };

interface Case {
  why: string;
  claims: Claim[];
  volumes: Backing[];
  expected: Partial<ObservedVolume>;
  detail?: RegExp;
}

const CASES: Case[] = [
  {
    why: "a claim that nothing backs yet",
    claims: [claim("Pending")],
    volumes: [],
    expected: { state: "pending", retained: false, seen: CLAIM_SEEN },
    detail: /^PVC vol-raw-\w+ is Pending: storage class/,
  },
  {
    why: "a bound claim whose volume is not marked yet",
    claims: [claim("Bound")],
    volumes: [backing("Delete", "Bound", { marked: false })],
    expected: {
      state: "bound",
      retained: false,
      tainted: false,
      size: "20Gi",
      detail: null,
      seen: CLAIM_SEEN,
    },
  },
  {
    why:
      "a class of its own accord retains: without our marks the data would not be found once its claim is gone",
    claims: [claim("Bound")],
    volumes: [backing("Retain", "Bound", { marked: false })],
    expected: { state: "bound", retained: false },
  },
  {
    why: "a crash between the claim's taint and its backing's: the mark must survive the claim",
    claims: [claim("Bound", { tainted: true })],
    volumes: [backing("Retain", "Bound")],
    expected: { state: "bound", retained: false, tainted: true },
  },
  {
    why: "a bound, retained claim",
    claims: [claim("Bound")],
    volumes: [backing("Retain", "Bound")],
    expected: { state: "bound", retained: true },
  },
  {
    why: "a mark on the claim",
    claims: [claim("Bound", { tainted: true })],
    volumes: [backing("Retain", "Bound")],
    expected: { tainted: true },
  },
  {
    why: "a mark on what backs it: either counts",
    claims: [claim("Bound")],
    volumes: [backing("Retain", "Bound", { tainted: true })],
    expected: { tainted: true },
  },
  {
    why: "a claim that is being deleted",
    claims: [claim("Bound", { metadata: { ...DELETED, finalizers: ["kubernetes.io/pvc-protection"] } })],
    volumes: [backing("Retain", "Bound")],
    expected: { state: "terminating", seen: CLAIM_SEEN },
    detail: /finalizer kubernetes\.io\/pvc-protection, in use by pod user-0$/,
  },
  {
    why: "a volume that is being deleted from under its claim",
    claims: [claim("Bound")],
    volumes: [
      backing("Delete", "Bound", { metadata: { ...DELETED, finalizers: ["kubernetes.io/pv-protection"] } }),
    ],
    expected: { state: "terminating" },
    detail: /^PV pv-1 is Terminating: finalizer kubernetes\.io\/pv-protection/,
  },
  {
    why: "a claim whose volume is gone",
    claims: [claim("Bound")],
    volumes: [],
    expected: { state: "lost" },
    detail: /PV pv-1, which no longer exists/,
  },
  {
    why: "a claim that Kubernetes calls Lost",
    claims: [claim("Lost")],
    volumes: [],
    expected: { state: "lost" },
  },
  {
    why: "a claim whose volume is bound to another one",
    claims: [claim("Bound")],
    volumes: [backing("Retain", "Bound", { claimUid: "another" })],
    expected: { state: "lost" },
  },
  {
    why: "a retained volume without its claim",
    claims: [],
    volumes: [backing("Retain", "Released", { tainted: true })],
    expected: {
      key: "raw",
      name: NAME,
      state: "released",
      retained: true,
      tainted: true,
      size: "21Gi",
      seen: BACKING_SEEN,
    },
    detail: /its data is kept/,
  },
  {
    why: "a volume without its claim that storage is to delete",
    claims: [],
    volumes: [backing("Delete", "Released")],
    expected: { state: "terminating", retained: false, seen: BACKING_SEEN },
    detail: /^PV pv-1 is being deleted \(Released\)$/,
  },
  {
    why: "one that storage could not delete",
    claims: [],
    volumes: [{ ...backing("Delete", "Failed"), status: { phase: "Failed", message: "no deleter" } }],
    expected: { state: "terminating" },
    detail: /Failed: no deleter/,
  },
];

for (const { why, claims, volumes, expected, detail } of CASES) {
  Deno.test(`volumesOf: ${expected.state ?? "tainted"} with ${why}`, () => {
    const user = {
      metadata: { name: "user-0", uid: "u", resourceVersion: "1" },
      spec: { containers: [], volumes: [{ name: "a", persistentVolumeClaim: { claimName: NAME } }] },
      status: { phase: "Running" },
    };
    const [observed, ...others] = volumesOf(snapshot({ claims, volumes, pods: [user] }));
    assert.deepEqual(others, []);
    for (const [key, value] of Object.entries(expected)) {
      assert.deepEqual(Reflect.get(observed ?? {}, key), value, key);
    }
    if (detail !== undefined) assert.match(observed?.detail ?? "", detail);
  });
}

Deno.test("volumesOf: what only an event says of a pending claim is said", () => {
  const warnings = new Map([[`uid-${NAME}`, 'ProvisioningFailed: storageclass "gone" not found']]);
  const [observed] = volumesOf(snapshot({ claims: [claim("Pending")], warnings }));
  assert.match(observed?.detail ?? "", /ProvisioningFailed: storageclass "gone" not found$/);
});

Deno.test("volumesOf: an old volume of a key whose claim was made anew waits behind it", () => {
  const old = {
    ...backing("Retain", "Released", { claimUid: "old" }),
    metadata: { ...backing("Retain", "Released").metadata, name: "pv-0" },
  };
  const observed = volumesOf(
    snapshot({ claims: [claim("Bound")], volumes: [old, backing("Retain", "Bound")] }),
  );
  assert.deepEqual(observed.map(({ key, state }) => [key, state]), [["raw", "bound"]]);
});

Deno.test("volumesOf: marks of another permit, or a name that its key does not prove, are not ours", () => {
  const theirs = {
    ...claim("Bound"),
    metadata: {
      ...claim("Bound").metadata,
      annotations: { "spe.wps/permit-id": "x", "spe.wps/volume-key": "raw" },
    },
  };
  const misnamed = { ...claim("Bound"), metadata: { ...claim("Bound").metadata, name: "vol-prepared" } };
  assert.deepEqual(volumesOf(snapshot({ claims: [theirs, misnamed] })), []);
});

const PENDING: {
  why: string;
  spec: { storageClassName?: string; volumeName?: string };
  classes: string[] | null;
  trouble: string | null;
  detail: RegExp;
}[] = [
  {
    why: "of a class that does not exist",
    spec: { storageClassName: "fast" },
    classes: ["slow"],
    trouble: "storage-class-missing",
    detail: /storage class fast does not exist/,
  },
  {
    why: "that names no class where none is the default",
    spec: {},
    classes: ["slow"],
    trouble: "storage-class-missing",
    detail: /no default one/,
  },
  {
    why: "whose class is there and slow",
    spec: { storageClassName: "slow" },
    classes: ["slow"],
    trouble: null,
    detail: /slow has not bound it/,
  },
  {
    why: "that waits for the volume it names",
    spec: { storageClassName: "", volumeName: "pv" },
    classes: ["slow"],
    trouble: null,
    detail: /has not bound it/,
  },
  {
    why: "that is too new for the classes to be read",
    spec: { storageClassName: "fast" },
    classes: null,
    trouble: null,
    detail: /fast has not bound it/,
  },
];

for (const { why, spec, classes, trouble, detail } of PENDING) {
  Deno.test(`pendingOf: a claim ${why}`, () => {
    const claim = {
      metadata: { name: "c", uid: "u", resourceVersion: "1" },
      spec,
      status: { phase: "Pending" },
    };
    const storageClasses = classes === null ? null : new Set(classes);
    const found = pendingOf(claim, { storageClasses, warnings: new Map() });
    assert.equal(found.trouble, trouble);
    assert.match(found.detail ?? "", detail);
  });
}
