/** What is read once from the cluster: its version, and who WPS is there. */
import { z } from "zod";
import { Fault } from "../../core/fault.ts";
import type { Client } from "./client.ts";
import type { ClusterTraits, KubernetesSettings } from "./settings.ts";

const versionSchema = z.object({ major: z.string(), minor: z.string(), gitVersion: z.string() });
const reviewSchema = z.object({ status: z.object({ userInfo: z.object({ username: z.string() }) }) });

/** The API server's version. */
export interface ServerVersion {
  /** e.g. "v1.36.3". */
  text: string;
  minor: number;
}

/** Reads `/version`. */
export async function readVersion(client: Client, signal: AbortSignal): Promise<ServerVersion> {
  const parsed = versionSchema.safeParse(await client.raw("/version", signal));
  if (!parsed.success) {
    throw new Fault(
      "retry",
      "unavailable",
      "Cannot read the API server's version: the answer is not Kubernetes'",
      {
        advice: "Check the server in the kubeconfig",
      },
    );
  }
  // Some distributions write a minor of "29+".
  return { text: parsed.data.gitVersion, minor: Number.parseInt(parsed.data.minor, 10) };
}

/** Who the API server takes WPS for (SelfSubjectReview, every authenticated user may ask). */
export async function readUsername(client: Client, signal: AbortSignal): Promise<string> {
  const body = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
  const answer = await client.review("/apis/authentication.k8s.io/v1/selfsubjectreviews", body, signal);
  return reviewSchema.parse(answer).status.userInfo.username;
}

/** A username as the subject of a RoleBinding: a service account by namespace and name, anybody else as a user. */
export function subjectOf(username: string): ClusterTraits["account"] {
  const [system, kind, namespace, name] = username.split(":");
  if (system === "system" && kind === "serviceaccount" && namespace !== undefined && name !== undefined) {
    return { kind: "ServiceAccount", namespace, name };
  }
  return { apiGroup: "rbac.authorization.k8s.io", kind: "User", name: username };
}

/** {@link ClusterTraits}, read at first use and kept: a new server version shows after a restart. */
export class ClusterFacts {
  #traits: Promise<ClusterTraits> | null = null;

  constructor(
    private readonly client: Client,
    private readonly settings: Pick<KubernetesSettings, "podSecurityVersion">,
  ) {}

  /** The traits; a failed reading is not kept. */
  traits(): Promise<ClusterTraits> {
    this.#traits ??= this.#read().catch((thrown) => {
      this.#traits = null;
      throw thrown;
    });
    return this.#traits;
  }

  async #read(): Promise<ClusterTraits> {
    // Shared by all who ask: nobody's abort may end it. The requests' own deadline does.
    const { signal } = new AbortController();
    const [version, username] = await Promise.all([
      readVersion(this.client, signal),
      readUsername(this.client, signal),
    ]);
    return {
      podSecurityVersion: this.settings.podSecurityVersion ?? `v1.${version.minor}`,
      account: subjectOf(username),
    };
  }
}
