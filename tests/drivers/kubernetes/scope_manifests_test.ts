import assert from "node:assert/strict";
import { quotaOf, scopeManifests } from "../../../src/drivers/kubernetes/manifests/scope.ts";
import { NAMESPACE, PERMIT, TRAITS } from "./fixtures.ts";

const LABELS = {
  "app.kubernetes.io/managed-by": "wps",
  "app.kubernetes.io/part-of": NAMESPACE,
  "app.kubernetes.io/component": "scope",
  "spe.wps/permit": NAMESPACE,
};
const ANNOTATIONS = { "spe.wps/permit-id": PERMIT };

Deno.test("scopeManifests: a namespace with Pod Security, quota, limits, default-deny, account and Secret access", () => {
  const scope = scopeManifests({
    permitId: PERMIT,
    fsGroup: 30100,
    members: 2,
    secretsRole: "wps-permit-secrets",
    traits: TRAITS,
  });
  const guard = (name: string, annotations: object = ANNOTATIONS): object => ({
    name,
    namespace: NAMESPACE,
    labels: LABELS,
    annotations,
  });
  assert.deepEqual(scope, {
    namespace: {
      metadata: {
        name: NAMESPACE,
        labels: {
          ...LABELS,
          "pod-security.kubernetes.io/enforce": "restricted",
          "pod-security.kubernetes.io/enforce-version": "v1.36",
        },
        annotations: { ...ANNOTATIONS, "spe.wps/fs-group": "30100" },
      },
    },
    quota: {
      metadata: guard("wps-quota", { ...ANNOTATIONS, "spe.wps/members": "2" }),
      spec: { hard: { pods: "22", persistentvolumeclaims: "48", services: "20" } },
    },
    limits: {
      metadata: guard("wps-limits"),
      spec: {
        limits: [{
          type: "Container",
          default: { cpu: "1", memory: "1Gi" },
          defaultRequest: { cpu: "100m", memory: "128Mi" },
        }],
      },
    },
    defaultDeny: {
      metadata: guard("wps-default-deny"),
      spec: { podSelector: {}, policyTypes: ["Ingress", "Egress"], ingress: [], egress: [] },
    },
    account: { metadata: guard("workspace"), automountServiceAccountToken: false },
    secretsAccess: {
      metadata: guard("wps-secrets"),
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "wps-permit-secrets" },
      subjects: [{ kind: "ServiceAccount", namespace: "wps", name: "wps" }],
    },
  });
});

Deno.test("quotaOf: grows with the members, so that a full permit still fits", () => {
  assert.deepEqual(quotaOf(200), { pods: "616", persistentvolumeclaims: "3216", services: "416" });
});
