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
/** Turns of WPS and floor, one after the other: a single one says little on a machine with other work. */
const TURNS = 3;
/** The service's own rows tell the times; whoever asks for them often takes away from what is measured. */
const ASK_MS = 250;
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

/** The jobs of permits that began after `sinceMs`, once all have ended. One seldom question, unlike {@link endedJob}. */
async function endedJobs(service: Service, permitIds: string[], sinceMs: number): Promise<JobView[]> {
  const jobs = new Map<string, JobView>();
  for (const deadlineMs = Date.now() + SETTLE_MS; jobs.size < permitIds.length;) {
    if (Date.now() > deadlineMs) throw new Error(`only ${jobs.size} of ${permitIds.length} jobs have ended`);
    await new Promise((resolve) => setTimeout(resolve, ASK_MS));
    const { items } = await service.get<{ items: (JobView & { permitId: string })[] }>(
      `/api/v1/jobs?limit=${permitIds.length}`,
    );
    for (const { id, permitId, state, createdAt } of items) {
      const isOver = Date.parse(createdAt) >= sinceMs && !["queued", "running"].includes(state);
      if (!isOver || !permitIds.includes(permitId) || jobs.has(permitId)) continue;
      jobs.set(permitId, await service.get<JobView>(`/api/v1/jobs/${id}`));
    }
  }
  return [...jobs.values()];
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
  const ours: number[] = [], floor: number[] = [], ratios: number[] = [], kubectl: number[] = [];
  const ids: string[] = [], made: string[] = [];
  const bare = new BareClient(cluster);
  const apply = (): Promise<number> => bare.applyAll(renamed(written, nameOf(made, "b"), ""), true);
  await apply(); // opens the connection
  for (let turn = 0; turn < TURNS; turn++) {
    const wave = Array.from({ length: TOGETHER }, (_, i) => `bench-${Deno.pid}-together-${turn}-${i}`);
    ids.push(...wave);
    const begin = Date.now();
    await Promise.all(wave.map((id) => publisher.status(id, "WORKSPACE_SETUP_PENDING", 1)));
    const jobs = await endedJobs(service, wave, begin);
    ours.push(Math.max(...jobs.map((job) => startedAfterMs(job, begin))));
    const bareBegin = performance.now();
    await Promise.all(wave.map(apply));
    floor.push(performance.now() - bareBegin);
    ratios.push((ours.at(-1) ?? NaN) / (floor.at(-1) ?? NaN));
  }
  bare.close();
  for (let turn = 0; turn < TURNS; turn++) {
    const begin = performance.now();
    await Promise.all(
      Array.from(
        { length: TOGETHER },
        () => kubectlApply(cluster, renamed(written, nameOf(made, "b"), ""), true),
      ),
    );
    kubectl.push(performance.now() - begin);
  }
  await removeNamespaces(cluster, made);
  for (const id of ids) await publisher.deleted(id);
  const all = (values: number[]): string => spread(values, "ms", 0);
  const slower = quantile(kubectl, 0.5) / quantile(floor, 0.5);
  return [
    row(`${TOGETHER} new permits at once, until the last`, all(ours), quantile(ratios, 0.5)),
    row("  floor: the same writes by bare fetch", all(floor), 1),
    row(`  kubectl apply --server-side, ${TOGETHER} processes`, all(kubectl), slower),
  ];
}
