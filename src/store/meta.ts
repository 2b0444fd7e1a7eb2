/** meta: single values about the database itself, by name. */
import { z } from "zod";
import type { Reader, Tx } from "./db.ts";

const valueRow = z.object({ value: z.string() });

/** A value, or null. */
export async function getMeta(reader: Reader, name: string): Promise<string | null> {
  const rows = await reader.read(
    "select value from meta where name = ?",
    [name],
    valueRow,
  );
  return rows[0]?.value ?? null;
}

/** Sets a value, in place of the one before. */
export async function setMeta(tx: Tx, name: string, value: string): Promise<void> {
  await tx.run(
    "insert into meta (name, value) values (?, ?) on conflict do update set value = excluded.value",
    [name, value],
  );
}
