/** WPS's own account of deploy/kubernetes, and what the audit log says of it. */
import {
  CLUSTER_PERMISSIONS,
  SECRET_PERMISSIONS,
} from "../../../src/drivers/kubernetes/check/permissions.ts";
import type { AuditEntry, Cluster } from "../../cluster/harness.ts";

const DEPLOY = new URL("../../../deploy/kubernetes/", import.meta.url).pathname;
/** What the API server writes beside the user's name: which token it was (Kubernetes 1.32). */
const CREDENTIAL = "authentication.kubernetes.io/credential-id";
/** The self-check asks, as a dry run, for what must be refused. */
const ASKED_IN_VAIN = "not-of-wps-self-check";

/** The account, as a site hands it to WPS. */
export interface Account {
  /** Path of a kubeconfig whose token lies in a file beside it, as a site renews it. */
  kubeconfig: string;
  token: string;
  /** The token's name in the audit log. Tests run beside each other, each with a token of its own. */
  credential: string;
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
  return { kubeconfig, token, credential: credentialOf(token) };
}

function credentialOf(token: string): string {
  const [, payload = ""] = token.split(".");
  const claims = Uint8Array.fromBase64(payload, { alphabet: "base64url" });
  return `JTI=${JSON.parse(new TextDecoder().decode(claims)).jti}`;
}

/** What was asked with an account's token, and nobody else's. */
export function entriesOf({ credential }: Pick<Account, "credential">, entries: AuditEntry[]): AuditEntry[] {
  return entries.filter(({ user }) => user.extra?.[CREDENTIAL]?.includes(credential));
}

/** What an account was refused although it should not have asked, as [verb, URI, status]; `entries` are its own. */
export function refusals(entries: AuditEntry[]): unknown[] {
  return entries.filter((entry) =>
    isRefused(entry) && entry.objectRef?.name !== ASKED_IN_VAIN && !isWithoutBinding(entry, entries)
  ).map(({ verb, requestURI, responseStatus }) => [verb, requestURI, responseStatus]);
}

/**
 * The Secrets' role holds through a RoleBinding in each permit's namespace. A refusal there is right before the API
 * server knows the binding, which shows in an answer later, and after the namespace was told to go, which takes the
 * binding along; and never for a verb that is answered nowhere: that one the role lacks.
 */
function isWithoutBinding(refused: AuditEntry, entries: AuditEntry[]): boolean {
  const { verb, objectRef } = refused;
  if (objectRef?.resource !== "secrets" || objectRef.namespace === undefined) return false;
  const { namespace } = objectRef;
  const answered = entries.filter((entry) => entry.objectRef?.resource === "secrets" && isGranted(entry));
  if (!answered.some((entry) => entry.verb === verb)) return false;
  const isBefore =
    answered.some((entry) =>
      entry.objectRef?.namespace === namespace && entry.stageTimestamp > refused.requestReceivedTimestamp
    ) && !answered.some((entry) =>
      entry.objectRef?.namespace === namespace && entry.stageTimestamp <= refused.requestReceivedTimestamp
    );
  const isAfter = entries.some((entry) =>
    entry.verb === "delete" && entry.objectRef?.resource === "namespaces" &&
    entry.objectRef.name === namespace && entry.requestReceivedTimestamp < refused.stageTimestamp
  );
  return isBefore || isAfter;
}

function isRefused({ responseStatus }: AuditEntry): boolean {
  return responseStatus?.code === 401 || responseStatus?.code === 403;
}

/** Whether the account may do it: a conflict or an absence is said after that was decided. */
function isGranted({ responseStatus }: AuditEntry): boolean {
  const code = responseStatus?.code ?? 0;
  return code < 400 || code === 404 || code === 409;
}

const REVIEWS = /^(authentication|authorization)\.k8s\.io\//;

/** "group/resource verb" for what an account was granted and did; a server-side apply that creates needs both verbs. */
export function usedRules(entries: AuditEntry[]): string[] {
  const rules = entries.filter(isGranted).flatMap(({ verb, objectRef, responseStatus }) => {
    if (objectRef?.resource === undefined || objectRef.subresource !== undefined) return [];
    const resource = `${objectRef.apiGroup ?? ""}/${objectRef.resource}`;
    return verb === "patch" && responseStatus?.code === 201
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
