import { Daemon } from "../services/daemon.ts";
import { type Cluster, folders } from "./harness.ts";

/** A kwok that starts on a busy machine. */
const READY_SECONDS = 60;
/** The annotation by which a kwok knows its nodes. */
const MANAGED = "kwok.x-k8s.io/node";

/** Nodes of a test's own. */
export interface FakeNodesSpec {
  /** Only pods that select label {@link POOL} of this value, and tolerate its taint, come to these nodes. */
  pool: string;
  names: string[];
  /** Stages beside kwok's own fast ones, as YAML: what becomes of pods. */
  stages?: string;
}

/** Label and taint of fake nodes that belong to a test. */
export const POOL = "wps-test/pool";

/**
 * Fake nodes under a kwok of their own, on which no other pod comes to run: other tests' nodes stay as they are.
 * To these nodes that kwok is what kubelets are: when it ends they fall silent, and Kubernetes sees it a minute later.
 */
export class FakeNodes implements AsyncDisposable {
  readonly #cluster: Cluster;
  readonly #kwok: Daemon;
  readonly names: string[];

  private constructor(cluster: Cluster, kwok: Daemon, names: string[]) {
    this.#cluster = cluster;
    this.#kwok = kwok;
    this.names = names;
  }

  /** Starts the nodes, ready. Only on the test cluster: a site's own one has no account for kwok. */
  static async start(cluster: Cluster, { pool, names, stages }: FakeNodesSpec): Promise<FakeNodes> {
    const { cache, run } = await folders();
    const folder = await Deno.makeTempDir({ prefix: "wps-kwok-" });
    const files = [...Deno.readDirSync(`${cache}/kwok-stages`)].map(({ name }) =>
      `${cache}/kwok-stages/${name}`
    );
    if (stages !== undefined) {
      await Deno.writeTextFile(`${folder}/stages.yaml`, stages);
      files.push(`${folder}/stages.yaml`);
    }
    const owner = crypto.randomUUID().slice(0, 8);
    await cluster.kubectl(["create", "-f", "-"], {
      stdin: names.map((name) => JSON.stringify(node(name, pool, owner))).join("\n---\n"),
    });
    const kwok = await Daemon.start({
      name: "kwok",
      command: `${cache}/kwok`,
      args: [
        ...["--kubeconfig", `${run}/kwok.kubeconfig`, "--manage-all-nodes=false"],
        `--manage-nodes-with-annotation-selector=${MANAGED}=${owner}`,
        ...["--node-lease-duration-seconds=40", "--cidr", "10.90.0.0/16", "--node-ip", "10.200.0.1"],
        ...files.flatMap((file) => ["--config", file]),
      ],
      env: { HOME: folder },
      logPath: `${folder}/kwok.log`,
      folder,
    });
    const nodes = new FakeNodes(cluster, kwok, names);
    try {
      const wanted = names.map((name) => `node/${name}`);
      await cluster.kubectl(["wait", "--for=condition=Ready", `--timeout=${READY_SECONDS}s`, ...wanted]);
    } catch (cause) {
      const said = kwok.lastWords();
      await nodes[Symbol.asyncDispose]();
      throw new Error(`Fake nodes do not become ready; kwok says:\n${said}`, { cause });
    }
    return nodes;
  }

  /** Lets new pods come to these nodes, or no more. */
  async schedulable(yes: boolean): Promise<void> {
    await this.#cluster.kubectl([yes ? "uncordon" : "cordon", ...this.names]);
  }

  /** All nodes fall silent at once, as after a power cut. */
  async die(): Promise<void> {
    await this.#kwok.end("SIGKILL");
  }

  /** An operator takes the nodes out of the cluster; no kubelet ends what ran there. */
  async remove(): Promise<void> {
    await this.#cluster.kubectl(["delete", "node", "--ignore-not-found", ...this.names]);
  }

  /** Ends kwok, and removes the nodes with their leases. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#kwok.end("SIGTERM");
    await this.remove();
    await this.#cluster.kubectl([
      "delete",
      "lease",
      "-n",
      "kube-node-lease",
      "--ignore-not-found",
      ...this.names,
    ]);
  }
}

function node(name: string, pool: string, owner: string): object {
  const room = { cpu: "256", memory: "2Ti", pods: "1000" };
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: {
      name,
      annotations: { [MANAGED]: owner },
      labels: { [POOL]: pool, "kubernetes.io/hostname": name },
    },
    spec: { taints: [{ key: POOL, value: pool, effect: "NoSchedule" }] },
    status: { allocatable: room, capacity: room },
  };
}
