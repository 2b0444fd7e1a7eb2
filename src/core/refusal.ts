/** Uploads that hold what is never copied, and the list that somebody may agree to leave out (DESIGN 4). */
import type { Observed, ObservedTask, RefusedEntries } from "./observed.ts";
import type { PlanInput } from "./plan_input.ts";
import { type Consolidation, type Obstacle, trialOf } from "./step.ts";

/** In words: "2 entries are neither files nor folders". */
export function countText(count: number): string {
  return count === 1
    ? "1 entry is neither file nor folder"
    : `${count} entries are neither files nor folders`;
}

/** The same with those that are shown: a task's last words. */
export function describeRefused({ count, shown }: Pick<RefusedEntries, "count" | "shown">): string {
  const more = count > shown.length ? `; and ${count - shown.length} more` : "";
  return `${countText(count)}: ${shown.join("; ")}${more}`;
}

/**
 * Its uploads hold what is never copied, and nobody agreed to leave exactly that out. `tried`: the trials of this attempt;
 * what an earlier attempt was refused it looks at anew.
 */
export function isRefused(
  consolidation: Consolidation,
  { tasks }: Pick<Observed, "tasks">,
  tried?: ReadonlySet<string>,
): boolean {
  const { fromKey, accepted } = consolidation;
  const refused = tasks.find(({ key, state }) => key === fromKey && state === "failed")?.refused ?? null;
  return refused !== null && refused.listHash !== accepted && (tried?.has(trialOf(consolidation)) ?? true);
}

/** What keeps uploads from being consolidated until a person decides; named once nothing else is to be consolidated. */
export function refusedUploads(
  consolidations: Consolidation[],
  { observed, permit: { permitId }, tried }: Pick<PlanInput, "observed" | "permit" | "tried">,
): Obstacle[] {
  const taskOf = (key: string): ObservedTask | undefined => observed.tasks.find((task) => task.key === key);
  const open = consolidations.filter(({ fromKey }) => taskOf(fromKey)?.state !== "succeeded");
  if (!open.every((consolidation) => isRefused(consolidation, observed, tried))) return [];
  return open.flatMap(({ fromKey, holder }): Obstacle[] => {
    const refused = taskOf(fromKey)?.refused ?? null;
    return refused === null ? [] : [{ target: fromKey, ...refusalText(permitId, fromKey, holder, refused) }];
  });
}

/** Why uploads stay where they are, and what a person may do about it. */
export function refusalText(
  permitId: string,
  fromKey: string,
  holder: string,
  { count, shown: [first], listHash }: RefusedEntries,
): Omit<Obstacle, "target"> {
  return {
    reason: "consolidation-refused",
    message: `Cannot consolidate ${fromKey}: ${countText(count)}${
      first === undefined ? "" : `, e.g. ${first}`
    }`,
    advice: `Look at them with wps uploads show ${permitId}; to leave them out for good run ` +
      `wps uploads accept ${permitId} ${holder} --list ${listHash}; the uploads stay as they are until then`,
  };
}
