/** The recorded exchanges. */
import { z } from "zod";

const JSON_TYPE = "application/json;charset=UTF-8";

const heading = z.strictObject({
  flow: z.string(),
  purpose: z.string(),
  upids: z.record(z.string(), z.object({ type: z.string(), id: z.string(), user: z.string() })).default({}),
  texts: z.array(z.object({ command: z.string(), text: z.string() })).default([]),
});

const exchange = z.strictObject({
  method: z.string(),
  path: z.string(),
  as: z.enum(["broad", "privsep", "root", "narrow", "bad", "none"]),
  body: z.record(z.string(), z.unknown()).optional(),
  encoding: z.literal("json").optional(),
  status: z.number().default(200),
  reason: z.string().default("OK"),
  contentType: z.string().nullable().default(JSON_TYPE),
  response: z.unknown(),
  raw: z.string().optional(),
  note: z.string().optional(),
});

/** One request with the answer that a real server gave. */
export type Exchange = z.infer<typeof exchange>;

/** Exchanges that belong together; placeholders mean the same all through one flow. */
export type Flow = z.infer<typeof heading> & { exchanges: Exchange[] };

/** All flows, in their order. Throws when the file is not as it should be. */
export function readFlows(): Flow[] {
  const flows: Flow[] = [];
  const text = Deno.readTextFileSync(new URL("../recorded/recordings.jsonl", import.meta.url));
  for (const line of text.trimEnd().split("\n")) {
    const value: unknown = JSON.parse(line);
    const head = heading.safeParse(value);
    if (head.success) flows.push({ ...head.data, exchanges: [] });
    else flows.at(-1)?.exchanges.push(exchange.parse(value));
  }
  return flows;
}
