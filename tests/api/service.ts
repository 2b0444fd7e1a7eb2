/** The API over a real store, with real judging of events and a platform on paper that does as planned. */
import { signerFromSeed } from "../../src/store/site_key.ts";
import assert from "node:assert/strict";
import { createApi } from "../../src/api/api.ts";
import { createAuthenticator } from "../../src/api/auth.ts";
import { type Authenticator, type Caller, PERMISSIONS } from "../../src/api/caller.ts";
import type { ApiDeps, Router, SupposedEvent } from "../../src/api/deps.ts";
import type { ApiEnv } from "../../src/api/env.ts";
import { createJobFeed } from "../../src/api/job_feed.ts";
import { createRefusalAudit } from "../../src/api/refusals.ts";
import type { Clock } from "../../src/core/clock.ts";
import { judge } from "../../src/core/doubt.ts";
import type { Job } from "../../src/core/job.ts";
import type { ObservedWorkspace } from "../../src/core/observed.ts";
import type { PermitEvent } from "../../src/core/event.ts";
import { applyUpdate } from "../../src/core/merge.ts";
import { plan } from "../../src/core/plan.ts";
import { portOf } from "../../src/core/workspace.ts";
import type { HealthPart } from "../../src/api/schemas/health.ts";
import { acceptBatch } from "../../src/intake/accept.ts";
import { MACHINE_CLOCK } from "../../src/machine.ts";
import { SILENT_LOG } from "../../src/log.ts";
import { makeHostKey } from "../../src/runner/host_key.ts";
import { sightingOf } from "../../src/runner/sighting.ts";
import type { Db } from "../../src/store/db.ts";
import { failJob, succeedJob } from "../../src/store/job_transitions.ts";
import { claimJob } from "../../src/store/job_claims.ts";
import { PROOF } from "../isolation_evidence.ts";
import { saveEvidence } from "../../src/store/evidence.ts";
import { openStore } from "../../src/store/open.ts";
import { getPermit } from "../../src/store/permits.ts";
import { saveRefused } from "../../src/store/refused_uploads.ts";
import { listVolumes, upsertVolume } from "../../src/store/volumes.ts";
import { saveWorkspaces } from "../../src/store/workspaces.ts";
import { builtInPhases, type Journey, journey, SITE } from "../core/plan_fixture.ts";
import { countingRandom } from "./surroundings.ts";

/** The permit that the paper platform holds. */
export const PERMIT = "permit-001";
/** The bearer key of the tests, made of all that `api.key` may be. */
export const KEY = "k!-~0123456789abcdef0123456789abcdef";

/** A running API and what a test does to it. */
export interface Service {
  app: Router;
  db: Db;
  deps: ApiDeps;
  journey: Journey;
  /** The permits that the runner was woken for. */
  woken: string[];
  /** Sends one request; over the unix socket unless `transport` says otherwise. */
  ask(path: string, init?: RequestInit, transport?: "unix" | "tcp" | "process"): Promise<Response>;
  /** Sends an event of {@link PERMIT} and expects its verdict; returns the receipt. */
  event(event: Record<string, unknown>, verdict?: string): Promise<Record<string, unknown>>;
  /** Plays the permit's plan to its end on paper, and keeps what is seen then. */
  settle(): Promise<void>;
  /** Keeps what is seen now. */
  look(job: Pick<Job, "state" | "attempt"> | null): Promise<void>;
}

/** What a test may replace. */
export interface ServiceOptions {
  clock?: Clock;
  deps?: (deps: ApiDeps) => Partial<ApiDeps>;
  directory?: string;
  bootEpoch?: string;
}

/** The site's key of all services under test. */
export const SITE_SIGNER = signerFromSeed(new Uint8Array(32).fill(7));

const OFF: HealthPart = { state: "off", detail: "not configured", since: null };
const OK: HealthPart = { state: "ok", detail: "works", since: null };

/** Somebody who may do only what is named. */
export function only(
  ...permissions: Caller["permissions"] extends ReadonlySet<infer P> ? P[] : never
): Authenticator {
  return () => Promise.resolve({ actor: { kind: "api", id: "limited" }, permissions: new Set(permissions) });
}

/** Runs `test` against a service of its own and closes everything. */
export async function withService(
  test: (service: Service) => Promise<void>,
  options: ServiceOptions = {},
): Promise<void> {
  const directory = options.directory ?? await Deno.makeTempDir({ prefix: "wps-api-" });
  // The lock may be held a moment longer: by a process that another test forks, until it is another program.
  const store = await openStore({ directory, nowMs: 1_000, durable: false, clock: MACHINE_CLOCK });
  const stopping = new AbortController();
  try {
    await test(await serviceOn(store.db, options, stopping.signal));
  } finally {
    stopping.abort();
    await store.close();
    if (options.directory === undefined) await Deno.remove(directory, { recursive: true });
  }
}

async function serviceOn(db: Db, options: ServiceOptions, stopping: AbortSignal): Promise<Service> {
  const phases = await builtInPhases();
  const clock = options.clock ?? MACHINE_CLOCK;
  const paper = journey(phases);
  const woken: string[] = [];
  const rules = { phases, tiers: new Set(["standard"]), uidRange: [30000, 39999] as const };
  const basic: ApiDeps = {
    db,
    phases,
    site: SITE,
    clock,
    random: countingRandom(),
    log: SILENT_LOG,
    version: "0.1.0-test",
    bootEpoch: options.bootEpoch ?? "boot-1",
    startedAtMs: 0,
    authenticate: createAuthenticator({ key: KEY }),
    secrets: {
      password: (_permitId, key) => Promise.resolve(`password of ${key}`),
      hostKey: async (_permitId, holder) =>
        (await makeHostKey(new Uint8Array(36).fill(holder.length))).privatePem,
    },
    health: {
      broker: () => Promise.resolve(OFF),
      driver: () => Promise.resolve(OK),
      runner: () => Promise.resolve(OK),
      readModel: () => Promise.resolve(OFF),
    },
    siteKey: SITE_SIGNER.key,
    feed: createJobFeed(clock),
    accept: async ({ body, contentType, contentEncoding, headers, channel, actor, requestId }, within) => {
      const raw = { body, contentType, contentEncoding, headers, routingKey: null, messageId: null };
      const delivery = { raw, channel, redelivered: false, recordedBefore: 0, actor, requestId, within };
      const [receipt] = await db.write((tx) => acceptBatch(tx, [delivery], rules, clock.now()));
      assert.ok(receipt !== undefined);
      return receipt;
    },
    plan: async (permitId, supposed) => {
      const permit = await getPermit(db, permitId);
      assert.ok(permit !== null);
      const observed = paper.platform.observe();
      const records = await listVolumes(db, permitId);
      const wish = supposed === null ? permit : applyUpdate(permit, eventOf(permitId, supposed), phases);
      return {
        wish,
        plan: plan({
          permit: wish,
          records,
          proven: paper.platform.state.proven,
          observed,
          phases,
          site: SITE,
          nowMs: clock.now(),
        }),
        outdated: observed.workspaces.filter(({ outdated }) => outdated).map(({ key }) => key),
      };
    },
    wake: (permitId) => void woken.push(permitId),
    isReady: () => true,
  };
  const deps = { ...basic, ...options.deps?.(basic) };
  const app = createApi(deps, createRefusalAudit(db, clock, stopping));

  const ask: Service["ask"] = async (path, init, transport = "unix") => {
    const env: ApiEnv["Bindings"] = { transport };
    return await app.request(path, init, env);
  };
  const look: Service["look"] = async (job) => {
    const permit = await getPermit(db, PERMIT);
    assert.ok(permit !== null);
    const paperView = paper.platform.observe();
    const observed = { ...paperView, atMs: clock.now(), workspaces: paperView.workspaces.map(withEndpoint) };
    const records = await listVolumes(db, PERMIT);
    const wish = judge({
      permit,
      records,
      observedVolumes: observed.volumes,
      phases,
      site: SITE,
      nowMs: clock.now(),
    });
    const sighting = sightingOf(permit, wish, observed, job);
    await db.write(async (tx) => {
      await saveWorkspaces(tx, PERMIT, sighting.rows);
      for (const volume of sighting.volumes) await upsertVolume(tx, PERMIT, volume, clock.now());
      for (const { key, refused } of sighting.refused) {
        await saveRefused(tx, PERMIT, key, refused, clock.now());
      }
      for (const { key, instanceUid } of sighting.rows) {
        if (instanceUid === null) continue;
        await saveEvidence(tx, {
          permitId: PERMIT,
          workspaceKey: key,
          instanceUid,
          atMs: clock.now(),
          evidence: PROOF,
        });
      }
    });
  };
  return {
    app,
    db,
    deps,
    journey: paper,
    woken,
    ask,
    look,
    async event(given, verdict = "accepted"): Promise<Record<string, unknown>> {
      const response = await ask("/api/v1/events", post({ permitId: PERMIT, ...given }));
      const receipt = await response.json();
      assert.equal(receipt.verdict, verdict, JSON.stringify(receipt));
      return receipt;
    },
    async settle(): Promise<void> {
      const permit = await getPermit(db, PERMIT);
      assert.ok(permit !== null);
      paper.reach(permit);
      await look(null);
      await endJob(db, "succeeded");
    },
  };
}

function eventOf(permitId: string, { type, status }: SupposedEvent): PermitEvent {
  const update = status === null ? {} : { status };
  return { source: "", id: null, type, permitId, time: null, revision: null, update, bodyHash: "" };
}

/** Paper has no addresses. */
function withEndpoint(workspace: ObservedWorkspace): ObservedWorkspace {
  const protocol = workspace.kind === "airlock" ? "sftp" : "rdp";
  const endpoint = { protocol, host: `${workspace.owner}.example`, port: portOf(protocol) } as const;
  return workspace.instances.length === 0 ? workspace : { ...workspace, endpoint };
}

/** Claims the next job and ends it. */
export async function endJob(db: Db, state: "succeeded" | "failed"): Promise<Job> {
  const job = await claimJob(db, { bootEpoch: "boot-1", nowMs: Date.now() + 1_000, priorityMax: null });
  assert.ok(job !== null, "there is a job to claim");
  const claim = { jobId: job.id, fence: job.fence };
  await db.write((tx) =>
    state === "succeeded" ? succeedJob(tx, claim, Date.now()) : failJob(tx, claim, {
      reason: "image-unavailable",
      message: "Cannot start research/j.virtanen: image not found",
      advice: "Correct images.research",
    }, Date.now())
  );
  return job;
}

/** A POST of a JSON value. */
export function post(body: unknown, headers: Record<string, string> = {}): RequestInit {
  return {
    method: "POST",
    headers: { "Content-Type": "application/json", ...headers },
    body: typeof body === "string" ? body : JSON.stringify(body),
  };
}

/** Every permission, for tests that take some away. */
export const ALL = PERMISSIONS;

/** The event that names everybody and sets a status. */
export function statusEvent(status: string, data: Record<string, unknown> = {}): Record<string, unknown> {
  return { type: "permit.status.updated", data: { status, ...data } };
}

/** Everybody, with two researchers. */
export const PEOPLE = {
  dataHolders: [{
    id: "hospital-a",
    username: "hospital-a-sftp",
    allowedCidrs: ["203.0.113.7/32"],
    sshPublicKeys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6mTVk4Jv0vYPVnh1PGPKOgTJpOOLTJ4T1DDqD0NcCo"],
  }],
  preprocessor: { username: "m.keller" },
  reviewer: { username: "a.rossi" },
  setupReviewer: { username: "a.rossi" },
  researchers: [
    { username: "j.virtanen", uid: 21001, gid: 21001 },
    { username: "l.maes", uid: 21002, gid: 21002 },
  ],
};
