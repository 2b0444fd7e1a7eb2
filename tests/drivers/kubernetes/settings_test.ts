import assert from "node:assert/strict";
import { kubernetesSettings } from "../../../src/drivers/kubernetes/settings.ts";
import { subjectOf } from "../../../src/drivers/kubernetes/cluster.ts";

Deno.test("kubernetesSettings: a kubeconfig alone is enough", () => {
  assert.deepEqual(kubernetesSettings.parse({ kubeconfig: "/etc/wps/kubeconfig" }), {
    kubeconfig: "/etc/wps/kubeconfig",
    inCluster: false,
    storageClasses: {},
    airlockService: "NodePort",
    desktopHost: "name",
    canaryNamespace: "wps-canaries",
    clusterDomain: "cluster.local",
    podGraceSeconds: 30,
    cpuRequestPercent: 25,
    nodeSelector: {},
    tolerations: [],
    spreadPods: false,
    imagePullSecrets: [],
    inEachNamespace: [],
    secretsRole: "wps-permit-secrets",
    requestTimeoutMs: 10_000,
    connections: 4,
    parallelRequests: 32,
  });
});

const REFUSED: { why: string; given: object }[] = [
  { why: "neither kubeconfig nor inCluster", given: {} },
  { why: "both", given: { kubeconfig: "/k", inCluster: true } },
  { why: "a relative path", given: { kubeconfig: "kubeconfig" } },
  { why: "an unknown key", given: { kubeconfig: "/k", namespace: "a" } },
  { why: "a class that is no name", given: { kubeconfig: "/k", storageClasses: { home: "Not A Name" } } },
  { why: "Pod Security unpinned", given: { kubeconfig: "/k", podSecurityVersion: "latest" } },
  {
    why: "a service type that shows an airlock to nobody",
    given: { kubeconfig: "/k", airlockService: "ClusterIP" },
  },
  { why: "an object without its kind", given: { kubeconfig: "/k", inEachNamespace: ["site-ca"] } },
  { why: "no connection", given: { kubeconfig: "/k", connections: 0 } },
  { why: "a host with a path", given: { kubeconfig: "/k", connectionHost: "sftp.site/x" } },
];

for (const { why, given } of REFUSED) {
  Deno.test(`kubernetesSettings: refuses ${why}`, () =>
    assert.equal(kubernetesSettings.safeParse(given).success, false));
}

Deno.test("subjectOf: a service account is named as one, anybody else as a user", () => {
  assert.deepEqual(subjectOf("system:serviceaccount:wps:wps"), {
    kind: "ServiceAccount",
    namespace: "wps",
    name: "wps",
  });
  const apiGroup = "rbac.authorization.k8s.io";
  assert.deepEqual(subjectOf("admin"), { apiGroup, kind: "User", name: "admin" });
  assert.deepEqual(subjectOf("system:node:a"), { apiGroup, kind: "User", name: "system:node:a" });
});
