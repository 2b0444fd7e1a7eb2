/** Where credentials come from, and how they are renewed while WPS runs. */
import type { Clock } from "../../core/clock.ts";
import { Fault } from "../../core/fault.ts";
import { type ClusterAccess, readKubeconfig, type ReadText } from "./kubeconfig.ts";
import type { KubernetesSettings } from "./settings.ts";

/** Where Kubernetes mounts a pod's service account (kubernetes.io: Accessing the API from a Pod). */
const ACCOUNT_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount";
/** Kubelet renews a bound token long before its end; a minute's delay is what client-go allows itself, too. */
const TOKEN_KEPT_MS = 60_000;

/** What access needs of the process around it. */
export interface AccessSurroundings {
  readText: ReadText;
  env: (name: string) => string | undefined;
  clock: Clock;
}

/** Reads the configured access anew. Throws a stalled Fault that says which file is wrong. */
export async function readAccess(
  settings: Pick<KubernetesSettings, "kubeconfig" | "inCluster" | "context">,
  { readText, env }: AccessSurroundings,
): Promise<ClusterAccess> {
  if (settings.kubeconfig !== undefined) {
    return await readKubeconfig(settings.kubeconfig, settings.context, readText);
  }
  const host = env("KUBERNETES_SERVICE_HOST"), port = env("KUBERNETES_SERVICE_PORT");
  if (host === undefined || port === undefined) {
    throw new Fault("stalled", "invalid", "Cannot use the pod's service account: WPS does not run in a pod", {
      advice: "Set drivers.kubernetes.kubeconfig instead of inCluster",
    });
  }
  const tokenFile = `${ACCOUNT_FOLDER}/token`;
  try {
    const caPem = await readText(`${ACCOUNT_FOLDER}/ca.crt`);
    const server = `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
    return { server, caPem, certPem: null, keyPem: null, token: null, tokenFile };
  } catch (thrown) {
    throw new Fault(
      "stalled",
      "invalid",
      `Cannot use the pod's service account: ${ACCOUNT_FOLDER} is not readable`,
      {
        advice: "Set automountServiceAccountToken: true on WPS's pod",
        cause: thrown,
      },
    );
  }
}

/** The bearer token in use: a fixed one, or a file's, read again after a minute and whenever it was refused. */
export class BearerToken {
  #text: string | null = null;
  #readAtMs = 0;

  constructor(
    private readonly access: ClusterAccess,
    private readonly surroundings: Pick<AccessSurroundings, "readText" | "clock">,
  ) {}

  /** The token, or null where a client certificate speaks. Throws a retry Fault while the file cannot be read. */
  async read(): Promise<string | null> {
    const { token, tokenFile } = this.access;
    if (tokenFile === null) return token;
    const { clock, readText } = this.surroundings;
    if (this.#text !== null && clock.now() - this.#readAtMs < TOKEN_KEPT_MS) return this.#text;
    try {
      this.#text = (await readText(tokenFile)).trim();
      this.#readAtMs = clock.now();
      return this.#text;
    } catch (thrown) {
      throw new Fault("retry", "unavailable", `Cannot read the token file ${tokenFile}`, {
        target: tokenFile,
        advice: "Restore the file, or its rights for the user that WPS runs as",
        cause: thrown,
      });
    }
  }

  /** Forgets what was read: the server refused it. */
  forget(): void {
    this.#text = null;
  }
}
