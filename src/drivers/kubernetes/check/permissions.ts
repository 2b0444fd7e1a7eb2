/** What WPS may do on a cluster: the rules of deploy/kubernetes, asked one by one. */
import type { CheckLine } from "../../../core/driver.ts";
import type { Client } from "../client.ts";
import { DOOMED_KINDS } from "../doomed.ts";
import { readOtherKinds, someOf } from "../other_kinds.ts";
import { mayI, type Question } from "../rights.ts";
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

const LEST_IT_GOES = "what is not WPS's must not go with a deleted permit's namespace";
/** Rights in the whole cluster are rights in any namespace, also in one that is not there. */
const NO_NAMESPACE = "not-of-wps-self-check";

/** Kinds that WPS uses. */
const USED: readonly Permission[] = [
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
  rule("events", ["list"], "why a claim or mount waits"),
  rule("nodes", ["get"], "whether a pod's node answers"),
  rule("storageclasses", ["list"], "the startup self-check"),
  rule("servicecidrs", ["list"], "the startup self-check: no policy may name a Service's address"),
];

/** Kinds that WPS only looks for before a namespace is ended; Secrets show by a role of their own. */
const LOOKED_FOR: readonly Permission[] = [
  ...DOOMED_KINDS.filter((kind) => kind !== "secrets" && USED.every(({ resource }) => resource !== kind))
    .map((kind) => rule(kind, ["list"], LEST_IT_GOES)),
  // Not known to each API server, so found by discovery like custom resources.
  ...["resourceclaims", "resourceclaimtemplates"].map((resource) => ({
    group: "resource.k8s.io",
    resource,
    verbs: ["list"],
    why: LEST_IT_GOES,
  })),
];

/** Everything that WPS asks of a cluster as a whole. deploy/kubernetes/role.yaml grants exactly this (tested). */
export const CLUSTER_PERMISSIONS: readonly Permission[] = [...USED, ...LOOKED_FOR];

/** What the role for Secrets grants, bound in each permit's namespace. */
export const SECRET_PERMISSIONS: readonly Permission[] = [
  rule("secrets", ["get", "list", "create", "patch", "delete"], "passwords, accounts and keys of workspaces"),
];

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

/**
 * Which kinds that a permit's namespace may hold cannot be looked for before it is ended (invariant 8). A warning: the
 * role is the site's to widen. `account`: WPS's own name on the cluster.
 */
export async function checkOtherKinds(
  client: Client,
  account: () => Promise<string>,
  signal: AbortSignal,
): Promise<CheckLine> {
  const check = "other kinds";
  const { listable, unlisted } = await readOtherKinds(client, NO_NAMESPACE, signal);
  if (unlisted.length === 0) {
    const detail =
      `${listable.length} kinds beside those that WPS knows are looked for before a namespace is ended`;
    return { check, result: "ok", detail, advice: "" };
  }
  const name = "wps-other-kinds";
  return {
    check,
    result: "warning",
    detail: `a deleted permit's namespace would take unseen objects along: ${someOf(unlisted)}`,
    advice:
      "Where people or tools of the site may keep such objects in permits' namespaces, let WPS list them: " +
      `kubectl create clusterrole ${name} --verb=list --resource=KINDS, and kubectl create clusterrolebinding ` +
      `${name} --clusterrole=${name} --user=${await account()}`,
  };
}
