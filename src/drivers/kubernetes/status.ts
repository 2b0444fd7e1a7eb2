/** The API server's Status answers (API reference: meta/v1 Status), as far as they decide. */
import { z } from "zod";

const statusSchema = z.object({
  kind: z.literal("Status"),
  message: z.string().default(""),
  reason: z.string().default(""),
  details: z.object({
    causes: z.array(
      z.object({
        reason: z.string().optional(),
        field: z.string().optional(),
        message: z.string().optional(),
      }),
    ).optional(),
    retryAfterSeconds: z.number().optional(),
  }).optional(),
});

/** The parts of a Status answer (API reference: meta/v1 Status) that decide. */
export interface Answer {
  status: number;
  reason: string;
  message: string;
  causes: { reason: string; field: string }[];
  retryAfterMs: number | null;
}

/** Longest piece of a server's prose that is repeated; some admission webhooks answer with whole documents. */
export const MESSAGE_MAX = 600;
/** A server that asks for more patience than this is asked again anyway. */
const RETRY_AFTER_MAX_MS = 300_000;

/** Reads a Status body; anything else (a proxy's HTML) keeps only its HTTP status. */
export function readAnswer(status: number, body: string, retryAfter: string | null): Answer {
  let parsed: z.infer<typeof statusSchema> | null = null;
  try {
    parsed = statusSchema.parse(JSON.parse(body));
  } catch {
    // Not from the API server itself: the number alone must do.
  }
  const seconds = Number(retryAfter ?? parsed?.details?.retryAfterSeconds ?? Number.NaN);
  return {
    status,
    reason: parsed?.reason ?? "",
    message: (parsed?.message ?? "").slice(0, MESSAGE_MAX),
    causes: (parsed?.details?.causes ?? []).map(({ reason, field }) => ({
      reason: reason ?? "",
      field: field ?? "",
    })),
    retryAfterMs: Number.isFinite(seconds) && seconds >= 0
      ? Math.min(seconds * 1000, RETRY_AFTER_MAX_MS)
      : null,
  };
}
