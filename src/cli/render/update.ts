/** What an event says of the permit, on one line. */
import type { EventView } from "../../api/schemas/events.ts";
import { instantText } from "../time.ts";
import { memberWord } from "./reason.ts";
import { NOTHING } from "./words.ts";

/** More of them would push the next column off the screen. */
const NAMED_MAX = 2;

/** For a list: "ANALYSIS_ACTIVE, researchers", "ARCHIVED, people of 4 roles". */
export function updateText(event: Pick<EventView, "update">): string {
  const { people = [] } = event.update ?? {};
  return people.length <= NAMED_MAX
    ? fullUpdateText(event)
    : text(event, [`people of ${people.length} roles`]);
}

/** "ANALYSIS_ACTIVE, ends 2027-06-30 00:00:00Z, reviewer, setup reviewer, researchers". */
export function fullUpdateText(event: Pick<EventView, "update">): string {
  return text(event, event.update?.people.map(memberWord) ?? []);
}

function text({ update }: Pick<EventView, "update">, people: string[]): string {
  // Undefined: an older service does not tell.
  if (update == null) return NOTHING;
  const { status, tier, expiresAt } = update;
  const ends = expiresAt === undefined
    ? []
    : [expiresAt === null ? "no end" : `ends ${instantText(expiresAt)}`];
  return [
    ...(status === undefined ? [] : [status]),
    ...(tier === undefined ? [] : [`tier ${tier}`]),
    ...ends,
    ...people,
  ].join(", ");
}
