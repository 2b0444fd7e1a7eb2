/**
 * The floor: the very objects that WPS wrote, sent again to fresh names by bare fetch in the same waves, and by kubectl.
 * Whatever WPS needs beyond this is its own.
 */
import { GUARD } from "../src/drivers/kubernetes/manifests/scope.ts";
import type { Cluster } from "../tests/cluster/harness.ts";

/** A Kubernetes object as JSON. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
  };
  [field: string]: unknown;
}

/** What was written for one permit until its StatefulSets' writes were acknowledged, in the order of its waves. */
export interface Written {
  namespace: KubeObject;
  guards: KubeObject[];
  storage: KubeObject[];
  compute: KubeObject[];
}

const KINDS =
  "resourcequotas,limitranges,serviceaccounts,rolebindings,networkpolicies,persistentvolumeclaims,secrets,services,statefulsets";
const GUARDS = ["ResourceQuota", "LimitRange", "ServiceAccount", "RoleBinding"];

/** Reads back what WPS wrote into `namespace`; `only` keeps the objects of one workspace and its own volume. */
export async function readWritten(
  cluster: Cluster,
  namespace: string,
  only: (object: KubeObject) => boolean,
): Promise<Written> {
  const read = async (args: string[]): Promise<KubeObject[]> => {
    const { items, ...single } = JSON.parse(await cluster.kubectl([...args, "-o", "json"]));
    return (items ?? [single]).filter((o: KubeObject) =>
      o.kind === "Namespace" || o.metadata.labels?.["app.kubernetes.io/managed-by"] === "wps"
    ).map(bare);
  };
  const objects = await read(["get", KINDS, "-n", namespace]);
  const [space] = await read(["get", "namespace", namespace]);
  if (space === undefined) throw new Error(`no namespace ${namespace}`);
  return wavesOf(space, objects, only);
}

/**
 * The waves that lead up to the StatefulSets. A workspace's own NetworkPolicy is in none: WPS writes it when it lets the
 * gateway in, which is after the end of what is measured.
 */
export function wavesOf(
  namespace: KubeObject,
  objects: KubeObject[],
  only: (object: KubeObject) => boolean,
): Written {
  const isGuard = ({ kind }: KubeObject): boolean => GUARDS.includes(kind);
  const rest = objects.filter((object) =>
    !isGuard(object) && object.kind !== "NetworkPolicy" && only(object)
  );
  return {
    namespace,
    guards: objects.filter((object) =>
      isGuard(object) || (object.kind === "NetworkPolicy" && object.metadata.name === GUARD.defaultDeny)
    ),
    storage: rest.filter(({ kind }) => kind !== "StatefulSet"),
    compute: rest.filter(({ kind }) => kind === "StatefulSet"),
  };
}

/** Without what the server added. */
function bare(object: KubeObject): KubeObject {
  const { status: _status, ...rest } = object;
  const { name, namespace, labels, annotations } = object.metadata;
  const spec = { ...(object["spec"] as Record<string, unknown> | undefined) };
  for (const field of ["clusterIP", "clusterIPs", "volumeName", "finalizers", "nodePort"]) delete spec[field];
  const kept = Object.fromEntries(
    Object.entries(annotations ?? {}).filter(([key]) => key.startsWith("spe.wps/")),
  );
  return {
    ...rest,
    ...(object["spec"] === undefined ? {} : { spec }),
    metadata: { name, ...(namespace === undefined ? {} : { namespace }), labels, annotations: kept },
  };
}

/** The same objects under other names. */
export function renamed(written: Written, namespace: string, suffix: string): Written {
  const rename = (object: KubeObject): KubeObject => {
    const isSpace = object.kind === "Namespace";
    const text = JSON.stringify(object);
    const copy: KubeObject = JSON.parse(text);
    copy.metadata.name = isSpace ? namespace : `${object.metadata.name}${suffix}`.slice(0, 60);
    if (!isSpace) copy.metadata.namespace = namespace;
    if (copy.metadata.labels?.["kubernetes.io/metadata.name"] !== undefined) {
      copy.metadata.labels["kubernetes.io/metadata.name"] = namespace;
    }
    return copy;
  };
  return {
    namespace: rename(written.namespace),
    guards: written.guards.map((o) => ({
      ...rename(o),
      metadata: { ...rename(o).metadata, name: o.metadata.name },
    })),
    storage: written.storage.map(rename),
    compute: written.compute.map(rename),
  };
}

/** Sends objects by bare fetch over one kept HTTP/2 connection. */
export class BareClient {
  readonly #client: Deno.HttpClient;

  constructor(readonly cluster: Pick<Cluster, "connection">) {
    const { caCert } = cluster.connection;
    this.#client = Deno.createHttpClient({ caCerts: caCert === undefined ? [] : [caCert] });
  }

  /** One server-side apply; throws when the server refuses. */
  async apply(object: KubeObject): Promise<void> {
    const { connection } = this.cluster;
    const response = await fetch(`${connection.server}${pathOf(object)}?fieldManager=floor&force=true`, {
      method: "PATCH",
      client: this.#client,
      headers: {
        authorization: `Bearer ${connection.token}`,
        "content-type": "application/apply-patch+yaml",
      },
      body: JSON.stringify(object),
    });
    const text = await response.text();
    if (!response.ok) {
      throw new Error(`${object.kind} ${object.metadata.name}: ${response.status} ${text.slice(0, 300)}`);
    }
  }

  /** All waves of a new permit; milliseconds. */
  async applyAll(written: Written, withScope: boolean): Promise<number> {
    const begin = performance.now();
    if (withScope) {
      await this.apply(written.namespace);
      await Promise.all(written.guards.map((object) => this.apply(object)));
    }
    await Promise.all(written.storage.map((object) => this.apply(object)));
    await Promise.all(written.compute.map((object) => this.apply(object)));
    return performance.now() - begin;
  }

  close(): void {
    this.#client.close();
  }
}

const PLURALS: Record<string, string> = {
  NetworkPolicy: "networkpolicies",
  ResourceQuota: "resourcequotas",
};

function pathOf({ apiVersion, kind, metadata }: KubeObject): string {
  const base = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
  const plural = PLURALS[kind] ?? `${kind.toLowerCase()}s`;
  const scope = metadata.namespace === undefined ? "" : `/namespaces/${metadata.namespace}`;
  return `${base}${scope}/${plural}/${metadata.name}`;
}

/** `kubectl apply --server-side` of the same objects in one call; milliseconds. */
export async function kubectlApply(cluster: Cluster, written: Written, validate: boolean): Promise<number> {
  const objects = [written.namespace, ...written.guards, ...written.storage, ...written.compute];
  const args = [
    "apply",
    "--server-side",
    "--force-conflicts",
    "-f",
    "-",
    ...(validate ? [] : ["--validate=false"]),
  ];
  const begin = performance.now();
  await cluster.kubectl(args, { stdin: objects.map((object) => JSON.stringify(object)).join("\n---\n") });
  return performance.now() - begin;
}
