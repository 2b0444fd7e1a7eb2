/** From a message on the broker to the StatefulSet's write acknowledged, against the floor of the same run. */
import { Buffer } from "node:buffer";
import amqp from "amqplib";
import { permitName, workspaceName } from "../src/core/names.ts";
import type { Cluster } from "../tests/cluster/harness.ts";
import { until } from "../tests/services/until.ts";
import { BareClient, kubectlApply, readWritten, renamed, type Written } from "./floor.ts";
import type { Service } from "./service.ts";
import { quantile, type Row, spread } from "./table.ts";

/** New permits one after the other; each then gets a second researcher, which is a workspace in an existing namespace. */
const PERMITS = 30;
/** kubectl is slow; ten runs tell as much. */
const KUBECTL_RUNS = 8;
const TOGETHER = 20;
const SETTLE_MS = 60_000;
const SECTION = "provisioning, message → StatefulSet acknowledged";

/** A publisher of its own, with confirms. */
export interface Publisher {
  status(permitId: string, status: string, researchers: number): Promise<number>;
  deleted(permitId: string): Promise<number>;
  close(): Promise<void>;
}

/** Publishes in the minimal form; returns when it was sent, in epoch milliseconds. */
export async function openPublisher(url: string): Promise<Publisher> {
  const connection = await amqp.connect(url);
  connection.on("error", () => {});
  const channel = await connection.createConfirmChannel();
  channel.on("error", () => {});
  let serial = 0;
  const publish = async (type: string, body: Record<string, unknown>): Promise<number> => {
    const atMs = Date.now();
    channel.publish("permit.events", type, Buffer.from(JSON.stringify(body)), {
      messageId: `bench-${atMs}-${serial++}`,
      contentType: "application/json",
      persistent: true,
    });
    await channel.waitForConfirms();
    return atMs;
  };
  return {
    status: (permitId, status, researchers) =>
      publish("permit.status.updated", {
        permitId,
        status,
        data: {
          researchers: Array.from(
            { length: researchers },
            (_, i) => ({ username: `r${i}`, uid: 21000 + i, gid: 21000 + i }),
          ),
        },
      }),
    deleted: (permitId) => publish("permit.deleted", { permitId }),
    close: () => connection.close(),
  };
}

interface JobView {
  id: number;
  state: string;
  createdAt: string;
  steps: { kind: string; target: string; startedAt: string; endedAt: string | null; outcome: string }[];
}

/** The job of a permit that began after `sinceMs`, once it has ended. */
export async function endedJob(service: Service, permitId: string, sinceMs: number): Promise<JobView> {
  return await until(`job of ${permitId}`, async () => {
    const { items } = await service.get<{ items: JobView[] }>(`/api/v1/jobs?permitId=${permitId}&limit=1`);
    const [job] = items;
    if (
      job === undefined || Date.parse(job.createdAt) < sinceMs || ["queued", "running"].includes(job.state)
    ) return undefined;
    return await service.get<JobView>(`/api/v1/jobs/${job.id}`);
  }, SETTLE_MS);
}

function startedAfterMs(job: JobView, sinceMs: number): number {
  const start = job.steps.filter(({ kind, outcome }) => kind === "start" && outcome === "done").at(-1);
  if (start?.endedAt === undefined || start.endedAt === null) {
    throw new Error(`job ${job.id} started nothing`);
  }
  return Date.parse(start.endedAt) - sinceMs;
}

/** Measures and returns rows; everything it made is deleted by the caller's permits. */
export async function benchProvision(
  cluster: Cluster,
  service: Service,
  publisher: Publisher,
): Promise<Row[]> {
  const fresh: number[] = [], existing: number[] = [], ready: number[] = [];
  const ids = Array.from({ length: PERMITS }, (_, i) => `bench-${Deno.pid}-${i}`);
  for (const id of ids) {
    for (const [count, times] of [[1, fresh], [2, existing]] as const) {
      const sentMs = await publisher.status(id, "WORKSPACE_SETUP_PENDING", count);
      const job = await endedJob(service, id, sentMs);
      times.push(startedAfterMs(job, sentMs));
      const open = job.steps.filter(({ kind }) => kind === "open-network").at(-1);
      if (count === 1) ready.push(Date.parse(open?.endedAt ?? "") - sentMs);
    }
  }
  const floor = await measureFloor(cluster, ids[0] ?? "");
  const together = await measureTogether(cluster, service, publisher, floor.written);
  for (const id of ids) await publisher.deleted(id);
  return [
    row("new permit", spread(fresh), quantile(fresh, 0.5) / quantile(floor.fresh, 0.5)),
    row("  floor: the same writes by bare fetch", spread(floor.fresh), 1),
    row(
      "  kubectl apply --server-side",
      spread(floor.kubectl),
      quantile(floor.kubectl, 0.5) / quantile(floor.fresh, 0.5),
    ),
    row(
      "  kubectl apply --server-side --validate=false",
      spread(floor.unvalidated),
      quantile(floor.unvalidated, 0.5) / quantile(floor.fresh, 0.5),
    ),
    row(
      "  WPS is faster than kubectl by",
      `${(quantile(floor.kubectl, 0.5) / quantile(fresh, 0.5)).toFixed(1)} times`,
      null,
    ),
    row("existing namespace", spread(existing), quantile(existing, 0.5) / quantile(floor.existing, 0.5)),
    row("  floor: the same writes by bare fetch", spread(floor.existing), 1),
    row("waits for the pod, retained and let in (new permit, whole)", spread(ready), null),
    ...together,
  ];
}

function row(what: string, value: string, ratio: number | null): Row {
  return { section: SECTION, what, value, ratio };
}

interface Floor {
  fresh: number[];
  existing: number[];
  kubectl: number[];
  unvalidated: number[];
  written: Written;
}

async function measureFloor(cluster: Cluster, permitId: string): Promise<Floor> {
  const first = workspaceName("research/r0"), second = workspaceName("research/r1");
  const written = await readWritten(
    cluster,
    permitName(permitId),
    (o) => !o.metadata.name.startsWith(second) && !isOf(o, "r1"),
  );
  const later = await readWritten(
    cluster,
    permitName(permitId),
    (o) => !o.metadata.name.startsWith(first) && isOf(o, "r1"),
  );
  const bare = new BareClient(cluster);
  const floor: Floor = { fresh: [], existing: [], kubectl: [], unvalidated: [], written };
  const made: string[] = [];
  try {
    await bare.applyAll(renamed(written, nameOf(made), ""), true); // opens the connection
    for (let i = 0; i < PERMITS; i++) {
      const namespace = nameOf(made);
      floor.fresh.push(await bare.applyAll(renamed(written, namespace, ""), true));
      floor.existing.push(await bare.applyAll(renamed(later, namespace, ""), false));
    }
    for (let i = 0; i < KUBECTL_RUNS; i++) {
      floor.kubectl.push(await kubectlApply(cluster, renamed(written, nameOf(made), ""), true));
      floor.unvalidated.push(await kubectlApply(cluster, renamed(written, nameOf(made), ""), false));
    }
  } finally {
    bare.close();
    await removeNamespaces(cluster, made);
  }
  return floor;
}

function isOf(
  object: { metadata: { name: string; annotations?: Record<string, string> } },
  username: string,
): boolean {
  return JSON.stringify(object).includes(`"${username}"`) || object.metadata.name.includes(`-${username}-`) ||
    Object.values(object.metadata.annotations ?? {}).some((value) => value.endsWith(`/${username}`));
}

/** A namespace that nothing else of this run has used. */
function nameOf(made: string[], round = "a"): string {
  const name = `wps-floor-${Deno.pid}-${round}${made.length}`;
  made.push(name);
  return name;
}

async function removeNamespaces(cluster: Cluster, names: string[]): Promise<void> {
  await cluster.tryKubectl(["delete", "namespace", "--wait=false", "--ignore-not-found", ...names]);
}

async function measureTogether(
  cluster: Cluster,
  service: Service,
  publisher: Publisher,
  written: Written,
): Promise<Row[]> {
  const ids = Array.from({ length: TOGETHER }, (_, i) => `bench-${Deno.pid}-together-${i}`);
  const begin = Date.now();
  await Promise.all(ids.map((id) => publisher.status(id, "WORKSPACE_SETUP_PENDING", 1)));
  const jobs = await Promise.all(ids.map((id) => endedJob(service, id, begin)));
  const ours = Math.max(...jobs.map((job) => startedAfterMs(job, begin)));
  const made: string[] = [];
  const bare = new BareClient(cluster);
  await bare.applyAll(renamed(written, nameOf(made, "b"), ""), true); // opens the connection
  const bareBegin = performance.now();
  await Promise.all(ids.map(() => bare.applyAll(renamed(written, nameOf(made, "b"), ""), true)));
  const floor = performance.now() - bareBegin;
  bare.close();
  const kubectlBegin = performance.now();
  await Promise.all(ids.map(() => kubectlApply(cluster, renamed(written, nameOf(made, "b"), ""), true)));
  const kubectl = performance.now() - kubectlBegin;
  await removeNamespaces(cluster, made);
  for (const id of ids) await publisher.deleted(id);
  return [
    row(`${TOGETHER} new permits at once, until the last`, `${ours.toFixed(0)} ms`, ours / floor),
    row("  floor: the same writes by bare fetch", `${floor.toFixed(0)} ms`, 1),
    row("  kubectl apply --server-side, 20 processes", `${kubectl.toFixed(0)} ms`, kubectl / floor),
  ];
}
