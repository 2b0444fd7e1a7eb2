/** Whether a run ended as it must: what exists is what the accepted events describe, and everything is written down. */
import { z } from "zod";
import { isDeepStrictEqual } from "node:util";
import { parseVolumeKey } from "../../src/core/volume.ts";
import { type PermitSnapshot, snapshotOf } from "../../src/drivers/lab/snapshot.ts";
import { bytes } from "../../src/store/columns.ts";
import type { Accepted, Expected, ExpectedWorkspace } from "./model.ts";
import { expectedAfter } from "./model.ts";
import type { World } from "./world.ts";

const eventRow = z.object({ type: z.string(), body: bytes });
const inboxRow = z.object({ body: bytes, verdict: z.string() });
const jobRow = z.object({
  id: z.number(),
  kind: z.string(),
  state: z.string(),
  message: z.string().nullable(),
  waitingFor: z.string().nullable(),
});
const expiryRow = z.object({ expiresAt: z.string(), expired: z.number(), told: z.number() });
const certificateRow = z.object({ serial: z.number(), complete: z.number(), open: z.number() });
const strangerRow = z.object({
  id: z.number(),
  state: z.string(),
  endedBy: z.string(),
  claimedBy: z.string(),
});
const idRow = z.object({ id: z.number() });

/** What is wrong; empty: nothing. */
export async function complaints(world: World, permitIds: readonly string[]): Promise<string[]> {
  const found = [
    ...await inboxComplaints(world),
    ...await rowComplaints(world),
    ...await claimComplaints(world),
  ];
  for (const permitId of permitIds) {
    for (const name of world.witness.leaking(permitId)) {
      found.push(`${permitId}: pod ${name} has data and a way out`);
    }
    const events = await acceptedEvents(world, permitId);
    const seen = snapshotOf(world.cluster, permitId);
    const expected = expectedAfter(events, world.timeline.now());
    found.push(...await jobComplaints(world, permitId, expected));
    found.push(...await expiryComplaints(world, permitId));
    if (expected.end === "nothing") found.push(...await certificateComplaints(world, permitId));
    if (events.length === 0) {
      if (seen.scope !== "absent" || seen.volumes.length > 0) {
        found.push(`${permitId}: exists without an event`);
      }
      continue;
    }
    for (const text of differences(expected, seen)) found.push(`${permitId}: ${text}`);
  }
  const known = new Set(permitIds);
  const scopes = world.cluster.read(({ state }) => Object.values(state.scopes));
  for (const { permitId } of scopes) if (!known.has(permitId)) found.push(`orphan namespace of ${permitId}`);
  return found;
}

/** The permit's accepted events in the inbox's order. */
export async function acceptedEvents(world: World, permitId: string): Promise<Accepted[]> {
  const rows = await world.store.read(
    "select type, body from events where permit_id = ? and verdict = 'accepted' order by seq",
    [permitId],
    eventRow,
  );
  return rows.map(({ type, body }) => {
    const message = MESSAGE.parse(JSON.parse(new TextDecoder().decode(body)));
    return { type, data: message.data ?? message };
  });
}

const person = z.object({ username: z.string() });
const fields = z.object({
  status: z.string().optional(),
  expiresAt: z.string().nullable().optional(),
  dataHolders: z.array(z.object({ id: z.string() })).optional(),
  researchers: z.array(person).optional(),
  preprocessor: person.optional(),
  reviewer: person.optional(),
  setupReviewer: person.optional(),
});
/** Both forms that history.ts writes. */
const MESSAGE = fields.extend({ data: fields.optional() });

async function inboxComplaints(world: World): Promise<string[]> {
  const { broker } = world;
  const found: string[] = [];
  if (broker.open > 0) found.push(`${broker.open} messages were never acknowledged`);
  const rows = await world.store.read(
    "select body, verdict from events",
    [],
    inboxRow,
  );
  const recorded = new Set(rows.map(({ body }) => new TextDecoder().decode(body)));
  for (const { serial, body } of broker.settled.values()) {
    if (!recorded.has(new TextDecoder().decode(body))) {
      found.push(`message ${serial} was acknowledged and is not in the inbox`);
    }
  }
  return found;
}

async function jobComplaints({ store }: World, permitId: string, expected: Expected): Promise<string[]> {
  const rows = await store.read(
    `select id, kind, state, message, waiting_for as waitingFor from jobs where permit_id = ?
     and (id = (select max(id) from jobs where permit_id = ?) or state in ('queued', 'running'))`,
    [permitId, permitId],
    jobRow,
  );
  const waits = expected.end === "workspaces" && expected.waitsForPeople;
  return rows.filter(({ state, waitingFor }) =>
    state !== "succeeded" && !(waits && waitingFor?.includes("has been named"))
  ).map((job) =>
    `${permitId}: job ${job.id} (${job.kind}) is ${job.state}: ${
      job.message ?? job.waitingFor ?? "no reason"
    }`
  );
}

/** Whoever claimed a job last ends it: a process that lost its claim to another one has no say any more. */
async function claimComplaints({ store }: World): Promise<string[]> {
  const rows = await store.read(
    `select jobs.id, jobs.state, jobs.boot_epoch as claimedBy, ended.actor_id as endedBy
     from jobs join audit as ended on ended.seq = (select max(seq) from audit
       where job_id = jobs.id and action in ('job.succeeded', 'job.failed') and actor_kind = 'service')
     where jobs.state in ('succeeded', 'failed') and ended.actor_id <> jobs.boot_epoch`,
    [],
    strangerRow,
  );
  return rows.map(({ id, state, endedBy, claimedBy }) =>
    `job ${id} is ${state}: ${endedBy} said so, and ${claimedBy} had claimed it`
  );
}

/** Dates of which the service must have spoken: nobody else knows when they pass. */
async function expiryComplaints({ store, timeline }: World, permitId: string): Promise<string[]> {
  const rows = await store.read(
    `select expires_at as expiresAt, expired, (select count(*) from outbox where outbox.permit_id = permits.permit_id
       and topic = 'workspace.events' and key = 'permit.expired') as told
     from permits where permit_id = ? and deletion = 'none' and expires_at is not null`,
    [permitId],
    expiryRow,
  );
  return rows.filter(({ expiresAt, expired, told }) =>
    Date.parse(expiresAt) <= timeline.now() ? expired === 0 || told === 0 : expired === 1
  ).map(({ expiresAt, expired, told }) =>
    `${permitId}: ends at ${expiresAt}, and its row says ${expired}, told ${told} times`
  );
}

/** A deletion that was proven has a certificate, in which nothing that was ever seen is still there. */
async function certificateComplaints({ store }: World, permitId: string): Promise<string[]> {
  const rows = await store.read(
    `select serial, body ->> 'complete' as complete, (select count(*) from objects where objects.permit_id = ?1
       and (gone_at_ms is null or objects.certificate is null)) as open
     from certificates where permit_id = ?1`,
    [permitId],
    certificateRow,
  );
  if (rows.length === 0) return [`${permitId}: is deleted, and nothing certifies it`];
  return rows.filter(({ complete, open }) => complete !== 1 || open > 0).map(({ serial, open }) =>
    `${permitId}: certificate ${serial} is not complete, ${open} objects are not certified to be gone`
  );
}

/** Rows that must have a companion, or not be there at all. */
const PAIRS: Record<string, string> = {
  "an event without an audit row":
    `select seq as id from events where not exists (select 1 from audit where audit.event_seq = events.seq)`,
  "an ended step without an audit row of its outcome":
    `select id from steps where outcome in ('done', 'failed') and kind not like 'await-%' and not exists (
       select 1 from audit where audit.job_id = steps.job_id and audit.target = steps.target
       and audit.action = 'step.' || steps.kind and audit.outcome = steps.outcome)`,
  "a proof without two canaries that were alive before and after":
    `select id from evidence where json_extract(evidence, '$.method') <> 'task'
       and (select count(*) from json_each(evidence, '$.control.after.alive') as later
       join json_each(evidence, '$.control.before.alive') as earlier on earlier.value = later.value) < 2`,
  "a consolidation's proof without two canaries that were alive before": `select id from evidence
     where json_extract(evidence, '$.method') = 'task'
       and (select count(*) from json_each(evidence, '$.control.before.alive')) < 2`,
  "an open step of an ended job": `select steps.id as id from steps join jobs on jobs.id = steps.job_id
     where steps.outcome = 'running' and jobs.state not in ('queued', 'running')`,
  "a halt for a policy of WPS's own form, which nobody forges here":
    `select seq as id from audit where action = 'isolation.breached' and reason like 'its own policy is %'`,
  "two running jobs of one permit":
    `select min(id) as id from jobs where state = 'running' group by permit_id having count(*) > 1`,
};

async function rowComplaints({ store }: World): Promise<string[]> {
  const found: string[] = [];
  for (const [what, sql] of Object.entries(PAIRS)) {
    const rows = await store.read(`${sql} limit 3`, [], idRow);
    if (rows.length > 0) found.push(`${what}: ${rows.map(({ id }) => id).join(", ")}`);
  }
  return found;
}

/** How a permit differs from what should be; what strangers put there is theirs. */
function differences(expected: Expected, all: PermitSnapshot): string[] {
  const seen = { ...all, volumes: all.volumes.filter(({ key }) => !key.startsWith("foreign-")) };
  switch (expected.end) {
    case "nothing":
      return seen.scope === "absent" && seen.volumes.length === 0 ? [] : [
        `is deleted, and has ${seen.scope === "absent" ? "no namespace" : "a namespace"} and volumes ${
          seen.volumes.map(({ key }) => key)
        }`,
      ];
    case "halted":
      // What a consolidation that succeeded has left says that its uploads may go; it has ended.
      return seen.pods.filter(({ phase }) => phase !== "succeeded").map(({ name }) =>
        `is halted or expired, and pod ${name} exists`
      );
    case "workspaces":
      return [...workspaceDifferences(expected.workspaces, seen), ...volumeDifferences(expected, seen)];
  }
}

function workspaceDifferences(expected: readonly ExpectedWorkspace[], seen: PermitSnapshot): string[] {
  const found: string[] = [];
  const wanted = new Map(expected.map((workspace) => [workspace.key, workspace]));
  for (const { of, kind, name } of seen.pods) {
    if (kind === "task") found.push(`a consolidation's pod ${name} is left`);
    else if (wanted.get(of)?.power !== "running") found.push(`pod ${name} of ${of} should not exist`);
  }
  for (const { key } of seen.identities) if (!wanted.has(key)) found.push(`${key} should not exist`);
  for (const key of seen.stopped) if (wanted.get(key)?.power !== "stopped") found.push(`${key} is stopped`);
  for (const workspace of expected) {
    // A stopped one that never ran need not be made.
    if (workspace.power === "running") found.push(...podDifferences(workspace, seen));
  }
  return found;
}

function podDifferences({ key, posture, mounts }: ExpectedWorkspace, seen: PermitSnapshot): string[] {
  const pod = seen.pods.find(({ of }) => of === key);
  if (pod === undefined) return [`${key} should run`];
  const found: string[] = [];
  if (!pod.ready) found.push(`${key} is not ready`);
  const leaves = posture === "proxied" ? ["proxy"] : [];
  if (!isDeepStrictEqual(pod.leaves, leaves)) found.push(`${key} is ${posture} and reaches ${pod.leaves}`);
  const entered = posture === "inbound-allowlist"
    ? pod.enters.length > 0 && pod.enters.every((from) => from.startsWith("203.0.113."))
    : isDeepStrictEqual(pod.enters, ["gateway"]);
  if (!entered) found.push(`${key} lets in ${pod.enters.join(", ") || "nobody"}`);
  const mounted = pod.mounts.map(({ path, mode, volumeKey }) =>
    `${path} ${mode} ${parseVolumeKey(volumeKey).volume}`
  );
  if (!isDeepStrictEqual(mounted.sort(), [...mounts].sort())) {
    found.push(`${key} mounts ${mounted.join(", ")} instead of ${mounts.join(", ")}`);
  }
  for (const { volumeKey } of pod.mounts) {
    const id = parseVolumeKey(volumeKey);
    const newest = seen.volumes.map((volume) => parseVolumeKey(volume.key))
      .filter(({ volume, owner }) => volume === id.volume && owner === id.owner)
      .reduce((most, { generation }) => Math.max(most, generation), 0);
    if (id.generation !== newest) found.push(`${key} mounts ${volumeKey}, and ${newest} is the newest`);
  }
  return found;
}

function volumeDifferences(
  { consolidated, ingressOpen }: Expected & { end: "workspaces" },
  { volumes, tasks }: PermitSnapshot,
): string[] {
  const found = tasks.map(({ key }) => `the consolidation of ${key} is left`);
  if (!consolidated || ingressOpen) return found;
  const left = volumes.filter(({ key }) => parseVolumeKey(key).volume === "uploads");
  return [...found, ...left.map(({ key }) => `${key} is left although it was to be consolidated`)];
}
