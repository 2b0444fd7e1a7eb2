/** Health: what works and what does not. */
import { z } from "@hono/zod-openapi";
import { Instant } from "./common.ts";

/** One part of the service. `off`: not configured. */
export const HealthPart = z.object({
  state: z.enum(["ok", "degraded", "down", "off"]),
  detail: z.string(),
  /** Since when it is so; null: unknown. */
  since: Instant.nullable(),
  /** The driver's self-check, line by line, each that is not ok with what to do. */
  checks: z.array(z.object({
    check: z.string(),
    result: z.enum(["ok", "warning", "failed"]),
    detail: z.string(),
    advice: z.string(),
  })).optional(),
}).openapi("HealthPart");
/** See {@link HealthPart}. */
export type HealthPart = z.infer<typeof HealthPart>;

/** `GET /health`. `down` where database or runner is; `degraded` where something else is. */
export const Health = z.object({
  status: z.enum(["ok", "degraded", "down"]),
  version: z.string(),
  startedAt: Instant,
  /** A few counts an operator asks for first; `failed`: permits whose newest job failed or is tried in vain. */
  jobs: z.object({ queued: z.number().int(), running: z.number().int(), failed: z.number().int() })
    .nullable(),
  database: HealthPart,
  broker: HealthPart,
  driver: HealthPart,
  runner: HealthPart,
  readModel: HealthPart,
}).openapi("Health");
/** See {@link Health}. */
export type Health = z.infer<typeof Health>;

/** `GET /healthz`, `GET /readyz`: one word. `degraded`: ready, but a check of the platform failed; `/health` names it. */
export const Liveness = z.object({ status: z.enum(["ok", "degraded", "starting", "down"]) }).openapi(
  "Liveness",
);
/** See {@link Liveness}. */
export type Liveness = z.infer<typeof Liveness>;
