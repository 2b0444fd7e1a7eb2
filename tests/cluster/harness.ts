import { machineLacks } from "./availability.ts";
import { type Connection, readConnection } from "./kubeconfig.ts";

export { requireOrReport } from "./availability.ts";
export { startBuildInBackground } from "./build.ts";
export type { Connection } from "./kubeconfig.ts";

const HERE = import.meta.dirname ?? ".";
/** up.sh takes 8 s on an idle machine with 2 cores; a busy one gets ten times that. */
const UP_MS = 90_000;
const COMMAND_MS = 120_000;

/** Addresses of the test cluster; a site's own cluster has others. */
export const NET = {
  /** This machine as pods see it: the source of what tests send, and where tests may listen for pods. */
  host: "10.200.0.254",
  node: "10.200.0.1",
  pods: "10.88.0.0/16",
  services: "10.96.0.0/16",
} as const;

/** Storage classes of the test cluster. */
export const STORAGE = {
  /** The default: real folders on the real node; kubelet honours fsGroup. */
  standard: "hostpath",
  /** For pods on fake nodes. */
  fake: "fake",
} as const;

/** How a command ended. Texts are whole, not trimmed. */
export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** What may be given to a kubectl call. */
export interface KubectlOptions {
  stdin?: string;
  timeoutMs?: number;
}

/** A Kubernetes that tests may do anything to. */
export interface Cluster {
  /** Administrator by bearer token (test cluster), or the site's kubeconfig. */
  kubeconfigPath: string;
  /** Administrator by client certificate; absent on a site's cluster. */
  certificateKubeconfigPath?: string;
  /** It is a site's own (WPS_TEST_KUBECONFIG): neither its node's files nor its pods' network are at hand. */
  isSites: boolean;
  /** The storage class for volumes of tests; null: the cluster's default one. */
  storageClass: string | null;
  /** The same as `kubeconfigPath`, read. */
  connection: Connection;
  /** `box` and `pause` (see tests/cluster/README.md); `boxNext` is the same under another tag, `boxByDigest` pinned. */
  images: { box: string; boxNext: string; boxByDigest: string; pause: string };
  /** One JSON line per answered request (level Metadata), the cluster's own parts left out; absent on a site's cluster. */
  auditLogPath?: string;
  /** Runs kubectl as the administrator. Out: its output. Throws with its error text when it fails. */
  kubectl(args: string[], options?: KubectlOptions): Promise<string>;
  /** The same, for calls that may fail. */
  tryKubectl(args: string[], options?: KubectlOptions): Promise<CommandResult>;
  /** Runs a command in a pod's container (its first by default). A failing command is a result, not an error. */
  exec(namespace: string, pod: string, command: string[], container?: string): Promise<CommandResult>;
  /** Server-side applies objects, given as YAML text or as values. */
  apply(...objects: Array<string | object>): Promise<void>;
  /** Asks the API server by bare fetch as the administrator, for example `/readyz`. The caller reads the body. */
  fetch(path: string, init?: RequestInit): Promise<Response>;
  /** The audit log's entries from a position on (0: all), and the position after them. */
  readAudit(from?: number): { entries: AuditEntry[]; next: number };
  /** Lets pods run on fake nodes instead of the real one until the answer is disposed. See tests/cluster/stages. */
  useFakeNodes(names: string[]): Promise<AsyncDisposable>;
  /** Ends this process's use of the cluster; the last user takes it down. Safe to repeat. */
  stop(): Promise<void>;
}

/** The parts of an audit entry that tests look at. */
export interface AuditEntry {
  verb: string;
  requestURI: string;
  /** Without a name where the credentials were none of the API server's. */
  user: { username?: string; groups?: string[]; extra?: Record<string, string[]> };
  userAgent?: string;
  objectRef?: {
    resource?: string;
    subresource?: string;
    namespace?: string;
    name?: string;
    apiGroup?: string;
    apiVersion?: string;
  };
  responseStatus?: { code?: number; reason?: string };
  stage: string;
  /** When the API server got the request, and when it had answered it. */
  requestReceivedTimestamp: string;
  stageTimestamp: string;
}

/**
 * Gives a running cluster: the site's own one when WPS_TEST_KUBECONFIG names it, else the test cluster,
 * started or reused (built before: see `requireOrReport`).
 * Throws an Error with the script's output when it cannot be started.
 */
export async function startCluster(): Promise<Cluster> {
  const site = Deno.env.get("WPS_TEST_KUBECONFIG");
  if (site !== undefined) return siteCluster(site);
  const lacks = machineLacks();
  if (lacks !== undefined) throw new Error(`Cannot start the test cluster: ${lacks}`);
  await script("up.sh", ["--for", `${Deno.pid}`], UP_MS);
  const { cache, run } = await folders();
  const kubeconfigPath = `${run}/admin.kubeconfig`;
  const digest = Deno.readTextFileSync(`${cache}/box.digest`).trim();
  return newCluster({
    kubeconfigPath,
    isSites: false,
    storageClass: STORAGE.standard,
    certificateKubeconfigPath: `${run}/certificate.kubeconfig`,
    auditLogPath: `${run}/audit.log`,
    images: {
      box: "lab.local/box:1",
      boxNext: "lab.local/box:2",
      boxByDigest: `lab.local/box@${digest}`,
      pause: "lab.local/pause:1",
    },
    kubectlCommand: [`${cache}/kube`, "kubectl"],
    stop: async () => {
      await script("down.sh", ["--for", `${Deno.pid}`], UP_MS);
    },
  });
}

/**
 * A site brings its images under names of its own: WPS_TEST_IMAGE holds what tests/cluster builds as `box`. Volumes are of
 * the class WPS_TEST_STORAGE_CLASS, which must offer ReadWriteMany.
 */
function siteCluster(kubeconfigPath: string): Cluster {
  const box = Deno.env.get("WPS_TEST_IMAGE") ?? "lab.local/box:1";
  return newCluster({
    kubeconfigPath,
    isSites: true,
    storageClass: Deno.env.get("WPS_TEST_STORAGE_CLASS") ?? null,
    images: { box, boxNext: Deno.env.get("WPS_TEST_IMAGE_NEXT") ?? box, boxByDigest: box, pause: box },
    kubectlCommand: ["kubectl"],
    stop: () => Promise.resolve(),
  });
}

type Parts =
  & Pick<
    Cluster,
    | "kubeconfigPath"
    | "certificateKubeconfigPath"
    | "auditLogPath"
    | "images"
    | "stop"
    | "isSites"
    | "storageClass"
  >
  & { kubectlCommand: string[] };

function newCluster({ kubectlCommand, ...parts }: Parts): Cluster {
  const connection = readConnection(parts.kubeconfigPath);
  const tryKubectl = (args: string[], options: KubectlOptions = {}): Promise<CommandResult> =>
    run([...kubectlCommand, "--kubeconfig", parts.kubeconfigPath, ...args], options);
  const kubectl = async (args: string[], options: KubectlOptions = {}): Promise<string> => {
    const result = await tryKubectl(args, options);
    if (result.code !== 0) throw new Error(`kubectl ${args.join(" ")}: ${result.stderr.trim()}`);
    return result.stdout;
  };
  return {
    ...parts,
    connection,
    kubectl,
    tryKubectl,
    exec: (namespace, pod, command, container) => {
      const where = container === undefined ? [] : ["-c", container];
      return tryKubectl(["exec", "-n", namespace, pod, ...where, "--", ...command]);
    },
    apply: async (...objects) => {
      const documents = objects.map((object) => typeof object === "string" ? object : JSON.stringify(object));
      await kubectl(["apply", "--server-side", "--force-conflicts", "-f", "-"], {
        stdin: documents.join("\n---\n"),
      });
    },
    fetch: (path, init) => ask(connection, path, init),
    readAudit: (from = 0) => readAudit(parts.auditLogPath, from),
    useFakeNodes: (names) => useFakeNodes(kubectl, names),
  };
}

async function ask(connection: Connection, path: string, init: RequestInit = {}): Promise<Response> {
  const { caCert, clientCert, clientKey, token } = connection;
  const client = Deno.createHttpClient({
    caCerts: caCert === undefined ? [] : [caCert],
    ...(clientCert !== undefined && clientKey !== undefined ? { cert: clientCert, key: clientKey } : {}),
  });
  try {
    const headers = new Headers(init.headers);
    if (token !== undefined) headers.set("authorization", `Bearer ${token}`);
    const answer = await fetch(`${connection.server}${path}`, { ...init, headers, client });
    // read here, because the client's connections close with it
    const body = await answer.arrayBuffer();
    return new Response(body.byteLength === 0 ? null : body, {
      status: answer.status,
      headers: answer.headers,
    });
  } finally {
    client.close();
  }
}

function readAudit(path: string | undefined, from: number): { entries: AuditEntry[]; next: number } {
  if (path === undefined) throw new Error("A site's own cluster has no audit log to read");
  const bytes = Deno.readFileSync(path).subarray(from);
  const whole = bytes.lastIndexOf("\n".charCodeAt(0)) + 1; // the last line may be half written
  const lines = new TextDecoder().decode(bytes.subarray(0, whole)).split("\n").filter((line) => line !== "");
  return { entries: lines.map((line): AuditEntry => JSON.parse(line)), next: from + whole };
}

async function useFakeNodes(kubectl: Cluster["kubectl"], names: string[]): Promise<AsyncDisposable> {
  const count = Math.max(0, ...names.map((name) => Number(name.match(/^fake-(\d+)$/)?.[1] ?? -1) + 1));
  await script("kwok.sh", [`${count}`], UP_MS);
  await kubectl(["cordon", "node"]);
  await kubectl(["uncordon", ...names]);
  return {
    async [Symbol.asyncDispose](): Promise<void> {
      await kubectl(["cordon", ...names]);
      await kubectl(["uncordon", "node"]);
    },
  };
}

/** Where the test cluster's programs are kept, and where the running one has its files. */
export async function folders(): Promise<{ cache: string; run: string }> {
  const printed = await run(["bash", "-c", `. '${HERE}/env.sh' && echo "$CACHE" && echo "$RUN"`]);
  const [cache, folder] = printed.stdout.split("\n");
  if (cache === undefined || folder === undefined) throw new Error(`env.sh failed: ${printed.stderr}`);
  return { cache, run: folder };
}

/** Lets a part of the running cluster fail or come back; see part.sh. Throws for a site's own cluster. */
export async function disturb(
  how: "kill" | "start" | "freeze" | "thaw",
  part: "apiserver" | "etcd",
): Promise<void> {
  if (Deno.env.has("WPS_TEST_KUBECONFIG")) throw new Error("A site's own cluster is not disturbed");
  await script("part.sh", [how, part], UP_MS);
}

async function script(name: string, args: string[], timeoutMs: number): Promise<void> {
  const result = await run([`${HERE}/${name}`, ...args], { timeoutMs });
  if (result.code !== 0) throw new Error(`tests/cluster/${name} failed:\n${result.stdout}${result.stderr}`);
}

async function run(
  command: string[],
  { stdin, timeoutMs = COMMAND_MS }: KubectlOptions = {},
): Promise<CommandResult> {
  const [program = "", ...args] = command;
  // not AbortSignal.timeout: its timer would outlive the command and count as a leak of the test
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), timeoutMs);
  const child = new Deno.Command(program, {
    args,
    stdin: stdin === undefined ? "null" : "piped",
    stdout: "piped",
    stderr: "piped",
    signal: timeout.signal,
  }).spawn();
  if (stdin !== undefined) {
    const writer = child.stdin.getWriter();
    await writer.write(new TextEncoder().encode(stdin));
    await writer.close();
  }
  const output = await child.output().finally(() => clearTimeout(timer));
  const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  const late = timeout.signal.aborted ? `\nended after ${timeoutMs} ms` : "";
  return { code: output.code, stdout: decode(output.stdout), stderr: decode(output.stderr) + late };
}
