/** What the API works with: everything comes in here, nothing is reached for. */
import type { SitePublicKey } from "../store/site_key.ts";
import type { OpenAPIHono } from "@hono/zod-openapi";
import type { Actor } from "../core/audit.ts";
import type { Clock, Random } from "../core/clock.ts";
import type { FieldError, UnknownFields, Verdict } from "../core/event.ts";
import type { Fault } from "../core/fault.ts";
import type { Permit } from "../core/permit.ts";
import type { PhaseSet } from "../core/phase.ts";
import type { Site } from "../core/site.ts";
import type { Plan } from "../core/step.ts";
import type { Log } from "../log.ts";
import type { Db, Tx } from "../store/db.ts";
import type { Authenticator } from "./caller.ts";
import type { ApiEnv } from "./env.ts";
import type { JobFeed } from "./job_feed.ts";
import type { HealthPart } from "./schemas/health.ts";

/** An event as a caller posted it. */
export interface PostedEvent {
  /** At most one byte more than the intake takes, however much was sent. */
  body: Uint8Array;
  contentType: string | null;
  contentEncoding: string | null;
  /** Names in lower case; `ce-…` are CloudEvents' attributes. */
  headers: Readonly<Record<string, string>>;
  channel: "http" | "cli";
  actor: Actor;
  requestId: string;
}

/** What the intake recorded. */
export interface RecordedEvent {
  verdict: Verdict;
  seq: number;
  source: string | null;
  id: string | null;
  permitId: string | null;
  /** Empty for `accepted`. */
  reasons: FieldError[];
  unknownFields: UnknownFields;
  /** The job that follows from it; null: none. */
  jobId: number | null;
}

/**
 * Records one posted event and resolves once it is committed. `within` runs in that same transaction, after the
 * event's own rows; when it throws, nothing of this event is committed and the error passes through.
 */
export type AcceptEvent = (
  event: PostedEvent,
  within: (tx: Tx, recorded: RecordedEvent) => Promise<void>,
) => Promise<RecordedEvent>;

/** An event that has not come: what it would change is asked. `status` null: it gives none. */
export interface SupposedEvent {
  type: string;
  status: string | null;
}

/**
 * Observes and plans without changing anything. `supposed` null: what the permit should be now. Faults: `not-found` for
 * an unknown permit, `invalid` for a type or status that the intake would not accept, `conflict` for an event that would
 * not count (a permit that is deleted), those of the driver.
 */
export type MakePlan = (
  permitId: string,
  supposed: SupposedEvent | null,
  signal: AbortSignal,
) => Promise<FreshPlan>;

/** A plan with what its observation shows beside it. */
export interface FreshPlan {
  plan: Plan;
  /** What the plan leads to. */
  wish: Permit;
  /** Keys of workspaces whose image, tier or template waits for their next start (DESIGN 8): no step changes them. */
  outdated: string[];
}

/** Opens what is sealed; null: there is none. */
export interface OpenSecrets {
  password(permitId: string, workspaceKey: string): Promise<string | null>;
  /** A data holder's SSH host key, in OpenSSH's PEM. */
  hostKey(permitId: string, holder: string): Promise<string | null>;
}

/** The parts whose health is asked; none of them throws. */
export interface HealthSources {
  broker(): Promise<HealthPart>;
  driver(): Promise<HealthPart>;
  runner(): Promise<HealthPart>;
  readModel(): Promise<HealthPart>;
}

/**
 * The API's surroundings. `accept`, `plan` and `wake` are null in a process that only has the database's file (the
 * command line while the service is down): what needs them answers 503 `service-down`.
 */
export interface ApiDeps {
  db: Db;
  phases: PhaseSet;
  /** Why `phases` is empty, see the snapshot's. */
  phasesFault?: Fault;
  site: Site;
  clock: Clock;
  random: Random;
  log: Log;
  version: string;
  /** Names this start of the service; a request that an earlier one left unfinished is begun anew. */
  bootEpoch: string;
  startedAtMs: number;
  authenticate: Authenticator;
  secrets: OpenSecrets;
  /** The site's public key; null: it is not at hand, and certificates are shown unverified. */
  siteKey: SitePublicKey | null;
  health: HealthSources;
  /** Tells streams of changes; null: streams answer 503. */
  feed: JobFeed | null;
  accept: AcceptEvent | null;
  plan: MakePlan | null;
  /** Makes the runner look at once. */
  wake: ((permitId: string) => void) | null;
  /** True once the service takes part in everything: migrations done, runner started. */
  isReady: () => boolean;
}

/** One noun's routes. */
export type Router = OpenAPIHono<ApiEnv>;
