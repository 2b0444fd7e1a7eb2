/** Proofs of isolation (DESIGN 8), as they are kept. What canaries answer is no secret. */
import { z } from "@hono/zod-openapi";
import { FilterText, Instant, numberedPageQuery, page, querySchema } from "./common.ts";

/** One time that the control pod, which no policy binds, tried the canaries. */
const ControlView = z.object({
  at: z.string(),
  alive: z.array(z.string()),
  silent: z.array(z.string()),
}).openapi("ControlAnswer");

/** One proof of one instance of a workspace. */
export const EvidenceView = z.object({
  /** The workspace's key; of a consolidation that of its uploads. */
  workspace: z.string(),
  /** The instance's uid. */
  instance: z.string(),
  /** It is the instance that was last seen to run. */
  running: z.boolean(),
  /** `gate`: by the instance itself, before anything was mounted. `probe`: the newest one beside it while it ran. `task`: a consolidation's own. */
  method: z.enum(["gate", "probe", "task"]),
  recordedAt: Instant,
  /** The pod that tried: the workspace's own, or the probe. */
  pod: z.object({ name: z.string(), uid: z.string(), node: z.string().nullable() }),
  /** Each target, and how reaching it ended in the last round: "timed out", "refused", "no route". */
  targets: z.array(z.object({ target: z.string(), outcome: z.string() })),
  /** Rounds in all, and how many in a row at the end reached nothing. */
  rounds: z.number().int(),
  cleanRounds: z.number().int(),
  begunAt: z.string(),
  endedAt: z.string(),
  control: z.object({ before: ControlView.nullable(), after: ControlView.nullable() }),
  /** The policies in force: how many, and a hash of what they say. */
  policies: z.object({ count: z.number().int(), hash: z.string() }),
}).openapi("Evidence");
/** See {@link EvidenceView}. */
export type EvidenceView = z.infer<typeof EvidenceView>;

/** Filters of `GET /workspaces/{permitId}/evidence`; newest first. */
export const EvidenceQuery = querySchema({ ...numberedPageQuery, workspace: FilterText.optional() });

/** `GET /workspaces/{permitId}/evidence`. */
export const EvidencePage = page(EvidenceView).openapi("EvidencePage");
/** See {@link EvidencePage}. */
export type EvidencePage = z.infer<typeof EvidencePage>;
