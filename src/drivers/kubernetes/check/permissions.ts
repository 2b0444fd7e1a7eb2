/** What WPS may do on a cluster: the rules of deploy/kubernetes, asked one by one. */
import { z } from "zod";
import type { CheckLine } from "../../../core/driver.ts";
import type { Client } from "../client.ts";
import { groupOf, type Resource } from "../wire.ts";

/** One rule: verbs on one kind in the whole cluster, or on one object of it. */
export interface Permission {
  group: string;
  resource: string;
  verbs: readonly string[];
  /** Why WPS needs it, for whoever reviews the role. */
  why: string;
}

const rule = (resource: Resource, verbs: readonly string[], why: string): Permission => ({
  group: groupOf(resource),
  resource,
  verbs,
  why,
});

/** Everything that WPS asks of a cluster as a whole. deploy/kubernetes/role.yaml grants exactly this (tested). */
export const CLUSTER_PERMISSIONS: readonly Permission[] = [
  rule("namespaces", ["get", "list", "watch", "create", "patch", "delete"], "one namespace per permit"),
  rule("resourcequotas", ["get", "list", "create", "patch"], "bounds of a namespace"),
  rule("limitranges", ["get", "list", "create", "patch"], "defaults of a namespace"),
  rule("serviceaccounts", ["get", "list", "create", "patch"], "the pods' account, which may do nothing"),
  rule("rolebindings", ["get", "list", "create", "patch"], "access to Secrets, namespace by namespace"),
  rule("networkpolicies", ["get", "list", "watch", "create", "patch", "delete"], "default-deny and postures"),
  rule("persistentvolumeclaims", ["get", "list", "watch", "create", "patch", "delete"], "volumes"),
  rule(
    "persistentvolumes",
    ["get", "list", "watch", "patch"],
    "what backs them is retained, rebound, let go",
  ),
  rule(
    "services",
    ["get", "list", "create", "patch", "delete"],
    "a workspace's address; that of the API server and of the listener, which are canaries",
  ),
  rule(
    "statefulsets",
    ["get", "list", "watch", "create", "update", "patch", "delete"],
    "a workspace's compute",
  ),
  rule(
    "pods",
    ["get", "list", "watch", "create", "patch", "delete"],
    "readiness; the label by which a network is opened; control pods and probes",
  ),
  rule("jobs", ["get", "list", "watch", "create", "patch", "delete"], "consolidation of uploads"),
  ...(["configmaps", "cronjobs", "daemonsets", "deployments", "ingresses", "replicasets", "roles"] as const)
    .map(
      (resource) =>
        rule(resource, ["list"], "what is not WPS's must not go with a deleted permit's namespace"),
    ),
  rule("events", ["list"], "why a claim or mount waits"),
  rule("nodes", ["get"], "whether a pod's node answers"),
  rule("storageclasses", ["list"], "the startup self-check"),
  rule("servicecidrs", ["list"], "the startup self-check: no policy may name a Service's address"),
];

/** What the role for Secrets grants, bound in each permit's namespace. */
export const SECRET_PERMISSIONS: readonly Permission[] = [
  rule("secrets", ["get", "list", "create", "patch", "delete"], "passwords, accounts and keys of workspaces"),
];

const answerSchema = z.object({
  status: z.object({ allowed: z.boolean().default(false), reason: z.string().optional() }),
});

interface Question {
  group: string;
  resource: string;
  verb: string;
  name?: string;
}

/** Asks a SelfSubjectAccessReview for each verb of each rule, and for binding the Secrets' role. */
export async function checkPermissions(
  client: Client,
  secretsRole: string,
  signal: AbortSignal,
): Promise<CheckLine> {
  const questions: Question[] = CLUSTER_PERMISSIONS.flatMap(({ group, resource, verbs }) =>
    verbs.map((verb) => ({ group, resource, verb }))
  );
  questions.push({
    group: "rbac.authorization.k8s.io",
    resource: "clusterroles",
    verb: "bind",
    name: secretsRole,
  });
  const allowed = await Promise.all(questions.map((question) => mayI(client, question, signal)));
  const denied = questions.filter((_question, index) => allowed[index] !== true).map(describe);
  if (denied.length === 0) {
    return {
      check: "permissions",
      result: "ok",
      detail: `${questions.length} verbs are granted`,
      advice: "",
    };
  }
  return {
    check: "permissions",
    result: "failed",
    detail: `missing: ${denied.join(", ")}`,
    advice: "Apply deploy/kubernetes to the cluster (kubectl apply -f deploy/kubernetes)",
  };
}

function describe({ resource, verb, name }: Question): string {
  return name === undefined ? `${verb} ${resource}` : `${verb} ${resource}/${name}`;
}

async function mayI(client: Client, question: Question, signal: AbortSignal): Promise<boolean> {
  const body = {
    apiVersion: "authorization.k8s.io/v1",
    kind: "SelfSubjectAccessReview",
    spec: { resourceAttributes: question },
  };
  const answer = await client.review("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body, signal);
  return answerSchema.parse(answer).status.allowed;
}
