/** Permits: the list, and everything about one in one answer (`wps status`). */
import { z } from "@hono/zod-openapi";
import { FilterText, Flag, Instant, page, pageQuery, querySchema } from "./common.ts";
import { EventView } from "./events.ts";
import { HaltView } from "./halts.ts";
import { JobView } from "./jobs.ts";
import { StatusWord, WorkspaceView } from "./workspaces.ts";

/** One permit in a list. */
export const PermitView = z.object({
  permitId: z.string(),
  /** The public word (DESIGN 10). */
  status: StatusWord,
  /** The Permit Manager's last status; null: only flags have come. */
  phase: z.string().nullable(),
  /** Flags of DESIGN 4 beside the phase. */
  ingressOpen: z.boolean(),
  stopRequested: z.boolean(),
  halted: z.boolean(),
  deletion: z.enum(["none", "requested", "done"]),
  tier: z.string().nullable(),
  /** Null: no end date. */
  expiresAt: z.string().nullable(),
  /** Its time is over: access has ended, until an event brings another date. */
  expired: z.boolean(),
  /** How many accepted events made it so. */
  version: z.number().int(),
  revision: z.number().int().nullable(),
  /** The open job; null: nothing is going on. */
  jobId: z.number().int().nullable(),
  updatedAt: Instant,
  /** Since when nothing of it is left on the platform; null: it is not deleted, or not wholly. */
  deletedAt: Instant.nullable(),
}).openapi("Permit");
/** See {@link PermitView}. */
export type PermitView = z.infer<typeof PermitView>;

/** One person in one role. */
const MemberView = z.object({
  role: z.string(),
  username: z.string(),
  /** Null: no account leased yet. */
  uid: z.number().int().nullable(),
  gid: z.number().int().nullable(),
}).openapi("Member");

/** One volume as last observed; an older generation stays listed and unmounted. */
export const VolumeView = z.object({
  key: z.string(),
  volume: z.string(),
  owner: z.string().nullable(),
  generation: z.number().int(),
  /** `absent`: known and not there; `destroyed`: gone on purpose. */
  state: z.enum(["pending", "bound", "released", "terminating", "lost", "absent", "destroyed"]),
  tainted: z.boolean(),
  /** Since when, and the permit's status then; null: it is not tainted. */
  taintedAt: Instant.nullable(),
  taintedUnder: z.string().nullable(),
  /** A newer generation took its place: kept, and never mounted again. */
  superseded: z.boolean(),
  retained: z.boolean(),
  size: z.string().nullable(),
  detail: z.string().nullable(),
}).openapi("Volume");
/** See {@link VolumeView}. */
export type VolumeView = z.infer<typeof VolumeView>;

/** One thing that is wrong, and what to do. */
export const TroubleView = z.object({
  reason: z.string(),
  target: z.string().nullable(),
  message: z.string(),
  advice: z.string().nullable(),
}).openapi("Trouble");
/** See {@link TroubleView}. */
export type TroubleView = z.infer<typeof TroubleView>;

/** `GET /permits/{permitId}`: all that `wps status` shows. */
export const PermitDetail = PermitView.extend({
  /** `file`: read from the database of a service that does not run; all of it is what was recorded last. */
  source: z.enum(["service", "file"]),
  /** The phase's title, e.g. "Analysis"; null: no status, or one without a phase file. */
  phaseTitle: z.string().nullable(),
  members: z.array(MemberView),
  workspaces: z.array(WorkspaceView),
  volumes: z.array(VolumeView),
  /** The open job, else the latest that ended; null: none yet. */
  job: JobView.nullable(),
  /** Newest first, at most {@link EVENTS_SHOWN}; the last accepted one follows where it is older than those. */
  events: z.array(EventView),
  /** Since when, by whom and why; null: it is not halted. */
  halt: HaltView.nullable(),
  /** What is wrong and what to do; empty: all is as it should be. */
  troubles: z.array(TroubleView),
  /** When the platform was last looked at; null: never. */
  observedAt: Instant.nullable(),
}).openapi("PermitDetail");
/** See {@link PermitDetail}. */
export type PermitDetail = z.infer<typeof PermitDetail>;

/** How many events `GET /permits/{permitId}` shows. */
export const EVENTS_SHOWN = 10;

/** Filters of `GET /permits`; in the order of their ids. */
export const PermitQuery = querySchema({
  ...pageQuery,
  phase: FilterText.optional(),
  status: StatusWord.optional(),
  halted: Flag.optional(),
  deletion: z.enum(["none", "requested", "done"]).optional(),
});

/** `GET /permits`. */
export const PermitPage = page(PermitView).openapi("PermitPage");
/** See {@link PermitPage}. */
export type PermitPage = z.infer<typeof PermitPage>;
