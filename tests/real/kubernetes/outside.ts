/** The driver suite's outside on the real cluster: by the API server, by packets, by the node's own files. */
import assert from "node:assert/strict";
import { permitName, volumeName, workspaceName } from "../../../src/core/names.ts";
import type { Account } from "../../../src/core/member.ts";
import type {
  FileOwner,
  ForeignSpec,
  OpenConnection,
  Outside,
  SeenFile,
  Source,
  StuckSpec,
  Target,
  TouchSpec,
} from "../../conformance/backend.ts";
import type { Place, Resource, Stored } from "../../../src/drivers/kubernetes/wire.ts";
import type { Api } from "./api.ts";
import { holdConnection } from "./hold.ts";
import type { RunningWorld } from "./world.ts";

/** Rival writes to one object while its finalizers change; each round needs another one. */
const FINALIZER_ROUNDS = 8;

/** Nothing removes it but the suite. */
const STUCK = "suite.example/stuck";
/** A dropped packet gets no answer; everything is on one machine. */
const SILENCE_MS = 500;

const WORKSPACE_PORTS: Record<string, number> = { airlock: 2222 };

/** Does to the cluster what an operator, an intruder or the world would do. */
export class RealOutside implements Outside {
  constructor(private readonly api: Api, private readonly world: RunningWorld) {}

  async deletePod(permitId: string, name: string): Promise<void> {
    await this.api.remove("pods", inside(permitId, name));
  }

  async deleteClaim(permitId: string, volumeKey: string): Promise<void> {
    await this.api.remove("persistentvolumeclaims", inside(permitId, volumeName(volumeKey)));
  }

  async loseBacking(permitId: string, volumeKey: string): Promise<void> {
    const { name } = (await this.#backing(permitId, volumeKey)).metadata;
    await this.api.remove("persistentvolumes", { name });
    await this.api.merge("persistentvolumes", { name }, { metadata: { finalizers: null } });
  }

  async addForeignPolicy(permitId: string, name: string): Promise<void> {
    await this.api.create("networkpolicies", permitName(permitId), {
      metadata: { name },
      spec: { podSelector: {}, policyTypes: ["Egress"], egress: [{}] },
    });
  }

  async removeForeignPolicy(permitId: string, name: string): Promise<void> {
    await this.api.remove("networkpolicies", inside(permitId, name));
  }

  async addForeign(permitId: string, object: ForeignSpec): Promise<void> {
    const [resource, { namespace }] = foreignPlace(permitId, object);
    await this.api.create(resource, namespace, foreignObject(permitId, object));
  }

  async foreignIntact(permitId: string, object: ForeignSpec): Promise<boolean> {
    const [resource, place] = foreignPlace(permitId, object);
    const found = await this.api.get(resource, place);
    if (found === null) return false;
    const { deletionTimestamp, annotations, labels } = found.metadata;
    const isOurs = (await this.api.managers(resource, place)).some(({ manager }) => manager === "wps");
    const isMarked = Object.keys({ ...annotations, ...labels }).some((key) => key.startsWith("spe.wps/"));
    return deletionTimestamp === undefined && !isOurs && !isMarked;
  }

  async removeForeign(permitId: string, object: ForeignSpec): Promise<void> {
    const [resource, place] = foreignPlace(permitId, object);
    await this.api.remove(resource, place);
  }

  async weakenDefaultDeny(permitId: string): Promise<void> {
    await this.api.merge("networkpolicies", inside(permitId, "wps-default-deny"), { spec: { egress: [{}] } });
  }

  async removeDefaultDeny(permitId: string): Promise<void> {
    await this.api.remove("networkpolicies", inside(permitId, "wps-default-deny"));
  }

  async touch(permitId: string, object: TouchSpec): Promise<void> {
    const resource = object.kind === "compute" ? "statefulsets" : "networkpolicies";
    const place = inside(permitId, workspaceName(object.key));
    const touched = { metadata: { labels: { "example/touched": crypto.randomUUID() } } };
    assert.ok(await this.api.merge(resource, place, touched), `${resource} ${place.name} is absent`);
  }

  async scale(permitId: string, workspaceKey: string, replicas: number): Promise<void> {
    const place = inside(permitId, workspaceName(workspaceKey));
    assert.ok(await this.api.merge("statefulsets", place, { spec: { replicas } }), `${place.name} is absent`);
  }

  async stick(permitId: string, object: StuckSpec): Promise<void> {
    await this.#finalizers(permitId, object, (list) => [...list, STUCK]);
  }

  async unstick(permitId: string, object: StuckSpec): Promise<void> {
    await this.#finalizers(permitId, object, (list) => list.filter((name) => name !== STUCK));
  }

  async #finalizers(
    permitId: string,
    object: StuckSpec,
    change: (list: string[]) => string[],
  ): Promise<void> {
    const [resource, place] = await this.#stuckPlace(permitId, object);
    // A controller may take its own finalizer away between the look and the write: then it is looked at again.
    for (let round = 1;; round++) {
      const found = await this.api.get(resource, place);
      if (found === null) return;
      const { resourceVersion, finalizers = [] } = found.metadata;
      try {
        return void await this.api.merge(resource, place, {
          metadata: { resourceVersion, finalizers: change(finalizers) },
        });
      } catch (thrown) {
        if (round === FINALIZER_ROUNDS) throw thrown;
      }
    }
  }

  async #stuckPlace(permitId: string, object: StuckSpec): Promise<[Resource, Place]> {
    switch (object.kind) {
      case "pod":
        return ["pods", inside(permitId, object.name)];
      case "volume":
        return ["persistentvolumeclaims", inside(permitId, volumeName(object.key))];
      case "backing":
        return ["persistentvolumes", { name: (await this.#backing(permitId, object.key)).metadata.name }];
    }
  }

  /** What backs a volume, whether or not its claim still stands. */
  async #backing(permitId: string, volumeKey: string): Promise<Stored<"persistentvolumes">> {
    return await this.#findBacking(permitId, volumeKey) ?? assert.fail(`nothing backs ${volumeKey}`);
  }

  async #findBacking(permitId: string, volumeKey: string): Promise<Stored<"persistentvolumes"> | null> {
    const { namespace, name } = inside(permitId, volumeName(volumeKey));
    const volumes = await this.api.list("persistentvolumes");
    const mine = volumes.filter(({ spec }) =>
      spec?.claimRef?.namespace === namespace && spec?.claimRef?.name === name
    );
    return mine.find(({ metadata }) => metadata.deletionTimestamp === undefined) ?? mine[0] ?? null;
  }

  async #folder(permitId: string, volumeKey: string): Promise<string | null> {
    const backing = await this.#findBacking(permitId, volumeKey);
    return backing?.spec?.local?.path ?? backing?.spec?.hostPath?.path ?? null;
  }

  async writeFile(
    permitId: string,
    volumeKey: string,
    path: string,
    text: string,
    owner: FileOwner,
  ): Promise<void> {
    const folder = await this.#folder(permitId, volumeKey) ?? assert.fail(`${volumeKey} is not bound`);
    const parts = path.split("/").slice(0, -1);
    for (let depth = 1; depth <= parts.length; depth++) {
      const parent = `${folder}/${parts.slice(0, depth).join("/")}`;
      await Deno.mkdir(parent, { recursive: true });
      await Deno.chmod(parent, 0o777);
    }
    const file = `${folder}/${path}`;
    await Deno.writeTextFile(file, text);
    await Deno.chown(file, owner.uid, owner.gid);
    await Deno.chmod(file, owner.mode);
  }

  async writeLink(permitId: string, volumeKey: string, path: string, target: string): Promise<void> {
    const folder = await this.#folder(permitId, volumeKey) ?? assert.fail(`${volumeKey} is not bound`);
    await Deno.symlink(target, `${folder}/${path}`);
  }

  async readFile(permitId: string, volumeKey: string, path: string): Promise<SeenFile | null> {
    const folder = await this.#folder(permitId, volumeKey);
    if (folder === null) return null;
    try {
      const { uid, gid, mode } = await Deno.stat(`${folder}/${path}`);
      const text = await Deno.readTextFile(`${folder}/${path}`);
      return { text, uid: uid ?? -1, gid: gid ?? -1, mode: (mode ?? 0) & 0o777 };
    } catch (thrown) {
      if (thrown instanceof Deno.errors.NotFound) return null;
      throw thrown;
    }
  }

  async listFiles(permitId: string, volumeKey: string): Promise<string[] | null> {
    const folder = await this.#folder(permitId, volumeKey);
    if (folder === null) return null;
    try {
      return (await filesBelow(folder, "")).sort();
    } catch (thrown) {
      if (thrown instanceof Deno.errors.NotFound) return null;
      throw thrown;
    }
  }

  async tryWrite(permitId: string, workspaceKey: string, path: string): Promise<boolean> {
    return (await this.#exec(permitId, workspaceKey, ["probe", "write", path])).code === 0;
  }

  async tryRead(permitId: string, workspaceKey: string, path: string): Promise<string | null> {
    const { code, stdout } = await this.#exec(permitId, workspaceKey, ["cat", path]);
    return code === 0 ? stdout : null;
  }

  async whoami(permitId: string, workspaceKey: string): Promise<Account> {
    const { stdout } = await this.#exec(permitId, workspaceKey, ["sh", "-c", "whoami; id -u; id -g"]);
    const [username = "", uid, gid] = stdout.trim().split("\n");
    return { username, uid: Number(uid), gid: Number(gid) };
  }

  async canReach(permitId: string, workspaceKey: string, target: Target): Promise<boolean> {
    return (await this.#exec(permitId, workspaceKey, ["probe", "get", this.#url(target)])).code === 0;
  }

  async reachableFrom(permitId: string, workspaceKey: string, source: Source): Promise<boolean> {
    const pod = await this.api.get("pods", inside(permitId, podOf(workspaceKey)));
    const address = pod?.status?.podIP;
    if (address === undefined) return false;
    const port = WORKSPACE_PORTS[workspaceKey.split("/")[0] ?? ""] ?? 3389;
    if (source === "holder") return await opens(address, port);
    const asked = await this.api.cluster.exec(this.world.namespace, source, [
      "probe",
      "get",
      `tcp://${address}:${port}`,
    ]);
    return asked.code === 0;
  }

  async openConnection(permitId: string, workspaceKey: string, target: Target): Promise<OpenConnection> {
    return await holdConnection(
      this.api.cluster,
      permitName(permitId),
      podOf(workspaceKey),
      this.#url(target, "http"),
    );
  }

  #url(target: Target, scheme = "tcp"): string {
    const address = this.world.addresses[target] ?? "";
    switch (target) {
      case "internet":
        return `${scheme}://${address}:443`;
      case "proxy":
        return `${scheme}://${address}:3128`;
      case "dns":
        return `udp://${address}:53`;
    }
  }

  async #exec(
    permitId: string,
    workspaceKey: string,
    command: string[],
  ): Promise<{ code: number; stdout: string }> {
    return await this.api.cluster.exec(permitName(permitId), podOf(workspaceKey), command, "workspace");
  }
}

function podOf(workspaceKey: string): string {
  return `${workspaceName(workspaceKey)}-0`;
}

function inside(permitId: string, name: string): { namespace: string; name: string } {
  return { namespace: permitName(permitId), name };
}

function foreignPlace(permitId: string, object: ForeignSpec): [Resource, Place] {
  switch (object.kind) {
    case "scope":
      return ["namespaces", { name: permitName(permitId) }];
    case "workspace":
      return ["statefulsets", inside(permitId, workspaceName(object.key))];
    case "volume":
      return ["persistentvolumeclaims", inside(permitId, volumeName(object.key))];
    case "claim":
      return ["persistentvolumeclaims", inside(permitId, object.name)];
    case "settings":
      return ["configmaps", inside(permitId, object.name)];
  }
}

function foreignObject(permitId: string, object: ForeignSpec): object {
  const labels = { app: "somebody-else" };
  switch (object.kind) {
    case "scope":
      return { metadata: { name: permitName(permitId), labels } };
    case "workspace": {
      const name = workspaceName(object.key);
      const template = { metadata: { labels }, spec: { containers: [{ name: "other", image: "other:1" }] } };
      return {
        metadata: { name, labels },
        spec: { replicas: 0, serviceName: name, selector: { matchLabels: labels }, template },
      };
    }
    case "settings":
      return { metadata: { name: object.name, labels }, data: { note: "ask before you delete" } };
    case "volume":
    case "claim": {
      const name = object.kind === "claim" ? object.name : volumeName(object.key);
      const spec = { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Mi" } } };
      return { metadata: { name, labels }, spec };
    }
  }
}

async function filesBelow(folder: string, prefix: string): Promise<string[]> {
  const found: string[] = [];
  for await (const entry of Deno.readDir(`${folder}/${prefix}`)) {
    const path = `${prefix}${entry.name}`;
    if (entry.isDirectory) found.push(...await filesBelow(folder, `${path}/`));
    else found.push(path);
  }
  return found;
}

/** Whether a TCP connection from this machine opens. */
export async function opens(hostname: string, port: number): Promise<boolean> {
  const patience = new AbortController();
  const timer = setTimeout(() => patience.abort(), SILENCE_MS);
  try {
    (await Deno.connect({ hostname, port, signal: patience.signal })).close();
    return true;
  } catch {
    return false;
  } finally {
    clearTimeout(timer);
  }
}
