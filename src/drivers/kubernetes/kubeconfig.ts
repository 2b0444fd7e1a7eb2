/** A kubeconfig file, read into what this driver needs of it (kubernetes.io: Organizing Cluster Access). */
import { parse } from "yaml";
import { z } from "zod";
import { Fault } from "../../core/fault.ts";

const entries = z.array(z.looseObject({ name: z.string() }));
const clusterSchema = z.looseObject({
  server: z.url({ protocol: /^https?$/ }),
  "certificate-authority": z.string().optional(),
  "certificate-authority-data": z.base64().optional(),
  "insecure-skip-tls-verify": z.boolean().optional(),
  "tls-server-name": z.string().optional(),
  "proxy-url": z.string().optional(),
});
const userSchema = z.looseObject({
  token: z.string().optional(),
  tokenFile: z.string().optional(),
  "client-certificate": z.string().optional(),
  "client-certificate-data": z.base64().optional(),
  "client-key": z.string().optional(),
  "client-key-data": z.base64().optional(),
  exec: z.unknown().optional(),
  "auth-provider": z.unknown().optional(),
  username: z.unknown().optional(),
});
const contextSchema = z.looseObject({ cluster: z.string(), user: z.string() });
const fileSchema = z.looseObject({
  clusters: entries,
  users: entries,
  contexts: entries,
  "current-context": z.string().optional(),
});

/** How a cluster is reached. PEM texts; `tokenFile` is read anew while in use, because tokens rotate. */
export interface ClusterAccess {
  /** Without a trailing slash. */
  server: string;
  caPem: string | null;
  certPem: string | null;
  keyPem: string | null;
  token: string | null;
  tokenFile: string | null;
}

/** Reads a file as text; rejects when it cannot. */
export type ReadText = (path: string) => Promise<string>;

/** A file that holds what WPS logs in with. */
export interface CredentialFile {
  /** For a message, e.g. "the token file". */
  what: string;
  path: string;
}

/** Kubernetes itself gives a mounted token its owner and mode (kubernetes.io: Configure Service Accounts for Pods). */
const MOUNTED = /^(\/var)?\/run\/secrets\/kubernetes\.io\//;

function refuse(path: string, what: string, advice: string): Fault {
  return new Fault("stalled", "invalid", `Cannot use kubeconfig ${path}: ${what}`, { target: path, advice });
}

/**
 * The access that a kubeconfig's context describes. Relative file names are relative to the kubeconfig.
 * Throws a stalled Fault that names what is missing or what WPS does not do (exec plugins, skipped
 * verification, plain HTTP to anything but a proxy of this machine).
 */
export async function readKubeconfig(
  path: string,
  contextName: string | undefined,
  readText: ReadText,
): Promise<ClusterAccess> {
  const { cluster, user } = await readContext(path, contextName, readText);
  const pem = async (data: string | undefined, name: string | undefined): Promise<string | null> => {
    if (data !== undefined) return new TextDecoder().decode(Uint8Array.fromBase64(data));
    return name === undefined ? null : await readOr(path, beside(path, name), readText);
  };
  const tokenFile = user.tokenFile === undefined ? null : beside(path, user.tokenFile);
  return {
    server: cluster.server.replace(/\/+$/, ""),
    caPem: await pem(cluster["certificate-authority-data"], cluster["certificate-authority"]),
    certPem: await pem(user["client-certificate-data"], user["client-certificate"]),
    keyPem: await pem(user["client-key-data"], user["client-key"]),
    token: user.token ?? null,
    tokenFile,
  };
}

/**
 * The files with secrets that a kubeconfig's context logs in with: itself, where any of its users has one inline, the
 * token's and the client key's. Left out is what Kubernetes mounts into a pod. Throws as {@link readKubeconfig}.
 */
export async function credentialFiles(
  path: string,
  contextName: string | undefined,
  readText: ReadText,
): Promise<CredentialFile[]> {
  const { users, user } = await readContext(path, contextName, readText);
  const isInline = users.some(({ user: other }) => {
    const { data } = userSchema.safeParse(other);
    return data?.token !== undefined || data?.["client-key-data"] !== undefined;
  });
  const named: [what: string, name: string | undefined][] = [
    ["the token file", user.tokenFile],
    ["the client key", user["client-key-data"] === undefined ? user["client-key"] : undefined],
  ];
  const files = named.flatMap(([what, name]) =>
    name === undefined ? [] : [{ what, path: beside(path, name) }]
  );
  return [...(isInline ? [{ what: "the kubeconfig", path }] : []), ...files]
    .filter((file) => !MOUNTED.test(file.path));
}

/** The named context, taken apart and fit for WPS, beside all users of the file. */
async function readContext(path: string, contextName: string | undefined, readText: ReadText): Promise<{
  cluster: z.infer<typeof clusterSchema>;
  user: z.infer<typeof userSchema>;
  users: z.infer<typeof entries>;
}> {
  const file = parseFile(path, await readOr(path, path, readText));
  const wanted = contextName ?? file["current-context"];
  const context = find(path, "context", wanted, file.contexts, contextSchema);
  const cluster = find(path, "cluster", context.cluster, file.clusters, clusterSchema);
  const user = find(path, "user", context.user, file.users, userSchema);
  refuseUnsupported(path, cluster, user);
  refusePlain(path, cluster.server);
  return { cluster, user, users: file.users };
}

/**
 * Plain HTTP would show the credentials, and every workspace's password, to whoever is on the way. To this machine's own
 * loopback, where `kubectl proxy` listens, there is nobody.
 */
function refusePlain(path: string, server: string): void {
  const { protocol, hostname } = new URL(server);
  if (protocol === "https:" || /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname)) return;
  throw refuse(
    path,
    `its server is ${protocol}//${hostname}, and credentials and passwords of workspaces would go there in plain text`,
    "Use the API server's https: address, and name the cluster's CA in certificate-authority",
  );
}

function refuseUnsupported(
  path: string,
  cluster: z.infer<typeof clusterSchema>,
  user: z.infer<typeof userSchema>,
): void {
  if (user.exec !== undefined || user["auth-provider"] !== undefined || user.username !== undefined) {
    throw refuse(
      path,
      "its user logs in by exec plugin, auth provider or password",
      "Give WPS a service account token (tokenFile) or a client certificate instead",
    );
  }
  if (cluster["insecure-skip-tls-verify"] === true) {
    throw refuse(path, "it skips TLS verification", "Name the cluster's CA in certificate-authority instead");
  }
  for (const key of ["tls-server-name", "proxy-url"] as const) {
    if (cluster[key] === undefined) continue;
    throw refuse(
      path,
      `WPS does not support ${key}`,
      "Use an address that is in the API server's certificate",
    );
  }
}

function parseFile(path: string, text: string): z.infer<typeof fileSchema> {
  let value: unknown;
  try {
    value = parse(text);
  } catch {
    throw refuse(
      path,
      "it is not valid YAML",
      "Write it anew, e.g. with kubectl config view --flatten --minify",
    );
  }
  const result = fileSchema.safeParse(value);
  if (result.success) return result.data;
  throw refuse(path, describe(result.error), "Check it with kubectl --kubeconfig");
}

function find<T extends z.ZodType>(
  path: string,
  kind: "context" | "cluster" | "user",
  name: string | undefined,
  entries: ({ name: string } & Record<string, unknown>)[],
  schema: T,
): z.infer<T> {
  if (name === undefined || name === "") {
    throw refuse(path, "it has no current-context", "Name one in drivers.kubernetes.context");
  }
  const entry = entries.find((candidate) => candidate.name === name);
  if (entry === undefined) {
    throw refuse(path, `it has no ${kind} "${name}"`, "Check it with kubectl config get-contexts");
  }
  const result = schema.safeParse(entry[kind]);
  if (result.success) return result.data;
  throw refuse(path, `${kind} "${name}": ${describe(result.error)}`, "Check it with kubectl --kubeconfig");
}

/** The first complaint, without the value: it may be a token. */
function describe(error: z.ZodError): string {
  const [issue] = error.issues;
  return `${issue?.path.join(".") || "the file"}: ${issue?.code.replaceAll("_", " ") ?? "invalid"}`;
}

function beside(path: string, name: string): string {
  return name.startsWith("/") ? name : `${path.slice(0, path.lastIndexOf("/") + 1)}${name}`;
}

async function readOr(kubeconfig: string, path: string, readText: ReadText): Promise<string> {
  try {
    return await readText(path);
  } catch (thrown) {
    const why = thrown instanceof Deno.errors.NotFound ? "does not exist" : "cannot be read";
    throw new Fault("stalled", "invalid", `Cannot use kubeconfig ${kubeconfig}: ${path} ${why}`, {
      target: kubeconfig,
      advice: "Correct the path, or the rights of the file, for the user that WPS runs as",
      cause: thrown,
    });
  }
}
