/** WPS's own account of deploy/kubernetes, and what the audit log says of it. */
import {
  CLUSTER_PERMISSIONS,
  SECRET_PERMISSIONS,
} from "../../../src/drivers/kubernetes/check/permissions.ts";
import type { AuditEntry, Cluster } from "../../cluster/harness.ts";

const DEPLOY = new URL("../../../deploy/kubernetes/", import.meta.url).pathname;
/** The account's name in the audit log. */
export const ACCOUNT = "system:serviceaccount:wps:wps";
/** The self-check asks, as a dry run, for what must be refused. */
const ASKED_IN_VAIN = "not-of-wps-self-check";

/** The account, as a site hands it to WPS. */
export interface Account {
  /** Path of a kubeconfig whose token lies in a file beside it, as a site renews it. */
  kubeconfig: string;
  token: string;
}

/** Applies deploy/kubernetes and writes the account's kubeconfig into `folder`. Its admission policy acts a moment later. */
export async function writeAccount({ kubectl, connection }: Cluster, folder: string): Promise<Account> {
  await kubectl(["apply", "--server-side", "-f", DEPLOY]);
  const token = (await kubectl(["create", "token", "wps", "-n", "wps"])).trim();
  await Deno.writeTextFile(`${folder}/token`, token, { mode: 0o600 });
  await Deno.writeTextFile(`${folder}/ca.crt`, connection.caCert ?? "");
  const kubeconfig = `${folder}/kubeconfig`;
  await Deno.writeTextFile(
    kubeconfig,
    `clusters: [{ name: c, cluster: { server: "${connection.server}", certificate-authority: ca.crt } }]
users: [{ name: wps, user: { tokenFile: token } }]
contexts: [{ name: wps, context: { cluster: c, user: wps } }]
current-context: wps
`,
  );
  return { kubeconfig, token };
}

/** What the account was refused although it should not have asked, as [verb, path, status]. */
export function refusals(entries: AuditEntry[]): unknown[] {
  return entries.filter(({ user, responseStatus, objectRef }) =>
    user.username === ACCOUNT && (responseStatus?.code === 401 || responseStatus?.code === 403) &&
    objectRef?.name !== ASKED_IN_VAIN &&
    // Until the namespace's RoleBinding is known, and after it is gone, there are no Secrets for WPS.
    objectRef?.resource !== "secrets"
  ).map(({ verb, requestURI, responseStatus }) => [verb, requestURI, responseStatus]);
}

const REVIEWS = /^(authentication|authorization)\.k8s\.io\//;

/** "group/resource verb" for what the account was granted and did; a server-side apply that creates needs both verbs. */
export function usedRules(entries: AuditEntry[]): string[] {
  const rules = entries.flatMap(({ user, verb, objectRef, responseStatus }) => {
    const code = responseStatus?.code ?? 0;
    if (
      user.username !== ACCOUNT || objectRef?.resource === undefined || objectRef.subresource !== undefined ||
      code >= 400 && code !== 404 && code !== 409
    ) return [];
    const resource = `${objectRef.apiGroup ?? ""}/${objectRef.resource}`;
    return verb === "patch" && code === 201
      ? [`${resource} patch`, `${resource} create`]
      : [`${resource} ${verb}`];
  });
  return [...new Set(rules)].filter((rule) => !REVIEWS.test(rule)).sort();
}

/** What the roles grant, in the same words. */
export function grantedRules(): string[] {
  return [...CLUSTER_PERMISSIONS, ...SECRET_PERMISSIONS].flatMap(({ group, resource, verbs }) =>
    verbs.map((verb) => `${group}/${resource} ${verb}`)
  ).sort();
}
