/** How fast a halt takes hold on the real node while a hundred other permits' jobs wait for their turn. */
import { permitName } from "../src/core/names.ts";
import type { AuditEntry, Cluster } from "../tests/cluster/harness.ts";
import { until } from "../tests/services/until.ts";
import { endedJob, type Publisher } from "./provision.ts";
import type { Service } from "./service.ts";
import { type Row, spread } from "./table.ts";

const REPETITIONS = 10;
/** Permits with an event each, just sent. Nobody is named, so their jobs wait for a person once they had their turn. */
const OTHERS = 160;
const OTHER_STATUSES = ["DATA_PREPARATION_PENDING", "DATA_PREPARATION_REVIEW_PENDING"] as const;
/** So many of the fresh jobs wait for a slot when the halt is asked for; those before them are being worked on. */
const QUEUED_MIN = 100;
const RESEARCHERS = 2;
const SETTLE_MS = 180_000;
const SECTION = `halt by REST of a permit near data, ${QUEUED_MIN} jobs of other permits queued`;

/** Halts a running permit again and again, each time behind fresh events of all others. */
export async function benchHalt(cluster: Cluster, service: Service, publisher: Publisher): Promise<Row[]> {
  const permitId = `bench-${Deno.pid}-halt`;
  const others = Array.from({ length: OTHERS }, (_, i) => `bench-${Deno.pid}-other-${i}`);
  const found: Halted[] = [];
  const sentMs = await publisher.status(permitId, "ANALYSIS_ACTIVE", RESEARCHERS);
  await endedJob(service, permitId, sentMs);
  for (let turn = 0; turn < REPETITIONS; turn++) {
    await until("the permit to run", async () => await statusOf(service, permitId) === "RUNNING", SETTLE_MS);
    const status = OTHER_STATUSES[turn % 2] ?? OTHER_STATUSES[0];
    const send = (): Promise<unknown> => Promise.all(others.map((id) => publisher.status(id, status, 0)));
    found.push(await haltOnce(cluster, service, permitId, send));
    await until("the halt to be seen", async () => await statusOf(service, permitId) === "HALTED", SETTLE_MS);
    await service.post(`/api/v1/permits/${permitId}/resume`, {});
  }
  for (const id of [permitId, ...others]) await publisher.deleted(id);
  await until(
    "all deletions to be over",
    async () => {
      const { items } = await service.get<{ items: unknown[] }>("/api/v1/permits?deletion=requested&limit=1");
      return items.length === 0;
    },
    SETTLE_MS,
  );
  const row = (what: string, value: string): Row => ({ section: SECTION, what, value, ratio: null });
  return [
    row("the request answered", spread(found.map(({ answeredMs }) => answeredMs))),
    row("its first read came to the API server", spread(found.map(({ readMs }) => readMs))),
    row("its reads were answered", spread(found.map(({ lookedMs }) => lookedMs))),
    row("the first policy to cut came to the API server", spread(found.map(({ cuttingMs }) => cuttingMs))),
    row("its policies' cut acknowledged by the API server", withSlowest(found.map(({ cutMs }) => cutMs))),
    row(
      `its last pod gone (${RESEARCHERS} pods, 1 s of grace)`,
      withSlowest(found.map(({ goneMs }) => goneMs)),
    ),
    row(
      "jobs open then, of these not begun",
      found.map(({ open, queued }) => `${open}/${queued}`).join(", "),
    ),
  ];
}

/** Of a halt the slowest counts: of so few it is what a 99th percentile would be. */
function withSlowest(values: readonly number[]): string {
  return `${spread(values)}, the slowest ${Math.max(...values).toFixed(0)} ms`;
}

interface Halted {
  /** Jobs that had not ended, and those of them that had not begun. */
  open: number;
  queued: number;
  /** Since the request was sent. */
  answeredMs: number;
  /** By the API server's own clock, which is this machine's. */
  readMs: number;
  lookedMs: number;
  cuttingMs: number;
  cutMs: number;
  goneMs: number;
}

/** `send` gives all others work; the halt is asked for while most of that queues. */
async function haltOnce(
  cluster: Cluster,
  service: Service,
  permitId: string,
  send: () => Promise<unknown>,
): Promise<Halted> {
  const namespace = permitName(permitId);
  const pods = await watchPods(cluster, namespace);
  const { next } = cluster.readAudit();
  const sent = send();
  const { queued, running } = await until("their jobs to queue", async () => {
    const jobs = await health(service);
    return jobs.queued >= QUEUED_MIN && jobs;
  }, 60_000);
  const beginMs = Date.now();
  const { jobId } = await service.post<{ jobId: number }>(`/api/v1/permits/${permitId}/halt`, {
    reason: "benchmark",
  });
  const answeredMs = Date.now() - beginMs;
  const goneMs = await pods.allGone() - beginMs;
  await sent;
  const job = await until("the halt's job", async () => {
    const job = await service.get<{ state: string }>(`/api/v1/jobs/${jobId}`);
    return job.state === "succeeded" || job.state === "superseded" ? job : undefined;
  }, SETTLE_MS);
  if (job.state !== "succeeded") throw new Error(`the halt's job ${jobId} was ${job.state}`);
  const asked = cluster.readAudit(next).entries.filter(({ objectRef, userAgent, requestReceivedTimestamp }) =>
    objectRef?.namespace === namespace && userAgent?.startsWith("wps") === true &&
    Date.parse(requestReceivedTimestamp) >= beginMs
  );
  const writes = asked.filter((entry) => isPolicyWrite(entry));
  if (writes.length < RESEARCHERS) throw new Error(`only ${writes.length} policies were written`);
  const receivedMs = (entry: AuditEntry): number => Date.parse(entry.requestReceivedTimestamp) - beginMs;
  const stageMs = (entry: AuditEntry): number => Date.parse(entry.stageTimestamp) - beginMs;
  const cuttingMs = Math.min(...writes.map(receivedMs));
  const reads = asked.filter((entry) => entry.verb === "list" && stageMs(entry) <= cuttingMs);
  return {
    open: queued + running,
    queued,
    answeredMs,
    readMs: Math.min(...reads.map(receivedMs)),
    lookedMs: Math.max(...reads.map(stageMs)),
    cuttingMs,
    cutMs: Math.max(...writes.map(stageMs)),
    goneMs,
  };
}

function isPolicyWrite({ verb, objectRef, responseStatus, stage }: AuditEntry): boolean {
  return objectRef?.resource === "networkpolicies" && stage === "ResponseComplete" &&
    (responseStatus?.code ?? 0) < 300 &&
    ["create", "update", "patch", "delete"].includes(verb);
}

/** A watch that is open before the halt is asked for; `allGone` gives when the last of the pods was deleted. */
async function watchPods(cluster: Cluster, namespace: string): Promise<{ allGone(): Promise<number> }> {
  const { connection } = cluster;
  // Of its own: the harness reads an answer whole, and a watch does not end.
  const client = Deno.createHttpClient({
    caCerts: connection.caCert === undefined ? [] : [connection.caCert],
  });
  const over = new AbortController();
  const ask = (query: string): Promise<Response> =>
    fetch(`${connection.server}/api/v1/namespaces/${namespace}/pods${query}`, {
      client,
      headers: { authorization: `Bearer ${connection.token}` },
      signal: over.signal,
    });
  const list: { metadata: { resourceVersion: string }; items: { metadata: { uid: string } }[] } =
    await (await ask("")).json();
  const alive = new Set(list.items.map(({ metadata }) => metadata.uid));
  if (alive.size !== RESEARCHERS) throw new Error(`${alive.size} pods run in ${namespace}`);
  const response = await ask(`?watch=1&resourceVersion=${list.metadata.resourceVersion}`);
  if (response.body === null) throw new Error("no watch came");
  const lines = response.body.pipeThrough(new TextDecoderStream());
  const gone = (async () => {
    let rest = "";
    for await (const chunk of lines) {
      const parts = (rest + chunk).split("\n");
      rest = parts.pop() ?? "";
      for (const line of parts) {
        const { type, object }: { type: string; object: { metadata: { uid: string } } } = JSON.parse(line);
        if (type === "DELETED") alive.delete(object.metadata.uid);
        if (alive.size === 0) return Date.now();
      }
    }
    throw new Error(`the watch of ${namespace} ended with ${alive.size} pods left`);
  })();
  return {
    allGone: () =>
      gone.finally(() => {
        over.abort();
        client.close();
      }),
  };
}

async function health(service: Service): Promise<{ queued: number; running: number }> {
  return (await service.get<{ jobs: { queued: number; running: number } }>("/api/v1/health")).jobs;
}

async function statusOf(service: Service, permitId: string): Promise<string> {
  return (await service.get<{ status: string }>(`/api/v1/workspaces/${permitId}/status`)).status;
}
