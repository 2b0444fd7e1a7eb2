/** observations: the last look at each permit, whole, so that answers need neither platform nor runner. */
import { z } from "zod";
import type { Observed } from "../core/observed.ts";
import type { Reader, Tx } from "./db.ts";

// Written by this program alone, from its own types: the row is checked to be an observation, not each of its leaves.
const observed = z.custom<Observed>((value) =>
  typeof value === "object" && value !== null && "scope" in value && "workspaces" in value && "volumes" in value
);
const row = z.object({ observed: z.string().transform((text): unknown => JSON.parse(text)).pipe(observed) });

/** Keeps an observation in place of the one before. */
export async function saveObservation(tx: Tx, observation: Observed): Promise<void> {
  await tx.run(
    `insert into observations (permit_id, observed, observed_at_ms) values (?, ?, ?)
     on conflict (permit_id) do update set observed = excluded.observed, observed_at_ms = excluded.observed_at_ms`,
    [observation.permitId, JSON.stringify(observation), observation.atMs],
  );
}

/** The last observation, or null when nobody has looked yet. */
export async function lastObservation(reader: Reader, permitId: string): Promise<Observed | null> {
  const rows = await reader.read("select observed from observations where permit_id = ?", [permitId], row);
  return rows[0]?.observed ?? null;
}
