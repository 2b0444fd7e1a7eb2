import assert from "node:assert/strict";
import { parseAllDocuments } from "yaml";
import { z } from "zod";
import type { CheckLine } from "../../../src/core/driver.ts";
import { judgeVersion, runChecks } from "../../../src/drivers/kubernetes/check/check.ts";
import {
  checkCanaries,
  judgeAddresses,
  judgePolicySupport,
} from "../../../src/drivers/kubernetes/check/network.ts";
import {
  CLUSTER_PERMISSIONS,
  type Permission,
  SECRET_PERMISSIONS,
} from "../../../src/drivers/kubernetes/check/permissions.ts";
import { judgeStorage } from "../../../src/drivers/kubernetes/check/storage.ts";
import type { KubernetesSite } from "../../../src/drivers/kubernetes/settings.ts";
import type { Stored } from "../../../src/drivers/kubernetes/wire.ts";
import { startDouble, status, stored } from "./double.ts";
import { settings, site } from "./fixtures.ts";

const roleSchema = z.object({
  kind: z.literal("ClusterRole"),
  metadata: z.object({ name: z.string() }),
  rules: z.array(z.object({
    apiGroups: z.array(z.string()),
    resources: z.array(z.string()),
    resourceNames: z.array(z.string()).optional(),
    verbs: z.array(z.string()),
  })),
});

/** "group/resource verb" for each verb that a ClusterRole of deploy/kubernetes grants. */
async function granted(role: string): Promise<string[]> {
  const text = await Deno.readTextFile(new URL("../../../deploy/kubernetes/role.yaml", import.meta.url));
  const found = parseAllDocuments(text).map((document) => roleSchema.safeParse(document.toJS()))
    .find(({ data }) => data?.metadata.name === role);
  return (found?.data?.rules ?? []).flatMap(({ apiGroups, resources, resourceNames, verbs }) =>
    apiGroups.flatMap((group) =>
      resources.flatMap((resource) =>
        verbs.map((verb) =>
          `${group}/${resource}${resourceNames === undefined ? "" : `/${resourceNames}`} ${verb}`
        )
      )
    )
  ).sort();
}

function asked(permissions: readonly Permission[]): string[] {
  return permissions.flatMap(({ group, resource, verbs }) =>
    verbs.map((verb) => `${group}/${resource} ${verb}`)
  ).sort();
}

Deno.test("deploy/kubernetes/role.yaml: grants exactly what WPS asks for, and no Secrets in the whole cluster", async () => {
  const bind = "rbac.authorization.k8s.io/clusterroles/wps-permit-secrets bind";
  assert.deepEqual(await granted("wps"), [...asked(CLUSTER_PERMISSIONS), bind].sort());
  assert.deepEqual(await granted("wps-permit-secrets"), asked(SECRET_PERMISSIONS));
  assert.ok(!(await granted("wps")).some((rule) => rule.startsWith("/secrets ")));
});

function storageClass(name: string, provisioner: string, isDefault = false): Stored<"storageclasses"> {
  const annotations: Record<string, string> = isDefault
    ? { "storageclass.kubernetes.io/is-default-class": "true" }
    : {};
  return { metadata: { name, uid: name, resourceVersion: "1", annotations }, provisioner };
}

const NFS = storageClass("nfs", "nfs.csi.k8s.io", true);
const RBD = storageClass("rbd", "rook-ceph.rbd.csi.ceph.com");
const ODD = storageClass("odd", "storage.example");

const STORAGE: {
  why: string;
  classes: Stored<"storageclasses">[];
  given: object;
  singleNode?: boolean;
  expected: CheckLine["result"][];
}[] = [
  { why: "a shared file system as default", classes: [NFS], given: {}, expected: ["ok", "ok"] },
  { why: "no class at all", classes: [], given: {}, expected: ["failed", "warning"] },
  { why: "no default and none named", classes: [RBD], given: {}, expected: ["failed", "warning"] },
  { why: "a class that does not exist", classes: [NFS], given: { home: "gone" }, expected: ["failed", "ok"] },
  {
    why: "block storage for a shared volume",
    classes: [NFS, RBD],
    given: { project: "rbd" },
    expected: ["ok", "failed"],
  },
  {
    why: "block storage for a private volume",
    classes: [NFS, RBD],
    given: { home: "rbd" },
    expected: ["ok", "ok"],
  },
  {
    why: "block storage on one node",
    classes: [RBD],
    given: { default: "rbd" },
    singleNode: true,
    expected: ["ok", "ok"],
  },
  {
    why: "a provisioner that nobody knows",
    classes: [ODD],
    given: { default: "odd" },
    expected: ["ok", "warning"],
  },
];

for (const { why, classes, given, singleNode = false, expected } of STORAGE) {
  Deno.test(`judgeStorage: ${expected.join(", ")} for ${why}`, () => {
    const { volumes } = site();
    const lines = judgeStorage(classes, {
      settings: settings({ storageClasses: given }),
      volumes,
      singleNode,
    });
    assert.deepEqual(lines.map(({ result }) => result), expected, JSON.stringify(lines));
    for (const { result, advice } of lines) assert.equal(result === "ok", advice === "");
  });
}

const ADDRESSES: { why: string; services: string[]; gateway: string; expected: CheckLine["result"] }[] = [
  {
    why: "an address outside of the Services' range",
    services: ["10.96.0.0/16"],
    gateway: "10.0.0.9/32",
    expected: "ok",
  },
  {
    why: "a ClusterIP, which no policy ever sees",
    services: ["10.96.0.0/16"],
    gateway: "10.96.3.4/32",
    expected: "failed",
  },
  {
    why: "a range that holds ClusterIPs",
    services: ["10.96.0.0/16"],
    gateway: "10.0.0.0/8",
    expected: "failed",
  },
  {
    why: "the second of two ranges",
    services: ["fd00::/112", "10.96.0.0/16"],
    gateway: "10.96.0.1/32",
    expected: "failed",
  },
  { why: "a cluster that does not tell", services: [], gateway: "10.0.0.9/32", expected: "warning" },
];

for (const { why, services, gateway, expected } of ADDRESSES) {
  Deno.test(`judgeAddresses: ${expected} for ${why}`, () => {
    assert.equal(judgeAddresses(services, { gateway: { cidr: gateway }, proxy: null }).result, expected);
  });
}

Deno.test("judgeAddresses: the proxy's address is compared, too; pods by labels need no comparison", () => {
  const { gateway } = site();
  const line = judgeAddresses(["10.96.0.0/16"], {
    gateway,
    proxy: { url: "http://10.96.0.7:1", cidr: "10.96.0.7/32" },
  });
  assert.equal(line.result, "failed");
  assert.match(line.detail, /network\.proxy\.cidr 10\.96\.0\.7\/32/);
  assert.equal(judgeAddresses([], { gateway, proxy: null }).result, "ok");
});

Deno.test("judgePolicySupport: known plugins are ok, none is a warning, policies above ours are one", () => {
  assert.equal(judgePolicySupport(["apps", "crd.projectcalico.org"]).result, "ok");
  assert.equal(judgePolicySupport(["apps"]).result, "warning");
  const over = judgePolicySupport(["cilium.io", "policy.networking.k8s.io"]);
  assert.equal(over.result, "warning");
  assert.match(over.advice, /AdminNetworkPolicy/);
});

Deno.test("judgeVersion: without Pod Security nothing is confined, without admission policies little", () => {
  const results = [24, 29, 36].map((minor) => judgeVersion({ text: `v1.${minor}.0`, minor }).result);
  assert.deepEqual(results, ["failed", "warning", "ok"]);
});

const signal = new AbortController().signal;

Deno.test("runChecks: a cluster that cannot be reached is the only line, and it says what to do", async () => {
  await using server = startDouble(() => status(503, "ServiceUnavailable", "starting"));
  const lines = await runChecks(server.client, site(), signal);
  assert.deepEqual(lines.map(({ check, result }) => [check, result]), [["cluster", "failed"]]);
  assert.ok(lines[0]?.advice);
});

Deno.test("runChecks: each failing question is a line of its own, and none throws", async () => {
  await using server = startDouble((request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/version") return Response.json({ major: "1", minor: "36+", gitVersion: "v1.36.3" });
    if (pathname.endsWith("selfsubjectaccessreviews")) {
      return request.json().then(({ spec }) =>
        Response.json({ status: { allowed: spec.resourceAttributes.verb !== "watch" } })
      );
    }
    return status(403, "Forbidden", "cannot");
  });
  const lines = await runChecks(server.client, site(), signal);
  const byCheck = new Map(lines.map((line) => [line.check, line]));
  assert.equal(byCheck.get("cluster")?.result, "ok");
  assert.equal(byCheck.get("permissions")?.result, "failed");
  assert.match(byCheck.get("permissions")?.detail ?? "", /watch namespaces/);
  const failing = ["account", "confinement", "storage", "network policy", "canaries", "addresses"];
  for (const check of [...failing, "other kinds"]) {
    assert.equal(byCheck.get(check)?.result, "failed", check);
    assert.ok(byCheck.get(check)?.advice, check);
  }
});

const OURS = { "app.kubernetes.io/managed-by": "wps", "app.kubernetes.io/component": "canaries" };
const CANARIES: {
  why: string;
  labels: object | null;
  canaries: KubernetesSite["canaries"];
  result: string;
  says: RegExp;
}[] = [
  { why: "none asked yet", labels: null, canaries: site().canaries, result: "ok", says: /^2 of the site;/ },
  {
    why: "its own namespace",
    labels: OURS,
    canaries: site().canaries,
    result: "ok",
    says: /in wps-canaries$/,
  },
  { why: "no canary of the site", labels: OURS, canaries: [], result: "warning", says: /^0 of the site;/ },
  {
    why: "somebody else's namespace",
    labels: {},
    canaries: [],
    result: "failed",
    says: /is not of WPS's canaries/,
  },
];

for (const { why, labels, canaries, result, says } of CANARIES) {
  Deno.test(`checkCanaries: ${result} with ${why}`, async () => {
    await using server = startDouble(() =>
      labels === null
        ? status(404, "NotFound", "no such namespace")
        : Response.json(stored("Namespace", "wps-canaries", { metadata: { labels } }))
    );
    const line = await checkCanaries(server.client, site({ canaries }), signal);
    assert.equal(line.result, result);
    assert.match(line.detail, says);
    assert.equal(line.advice === "", result === "ok");
  });
}
