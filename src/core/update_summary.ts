/** What an event says of a permit, short enough for a list: no person is named. */
import type { PermitUpdate } from "./event.ts";
import type { Permit } from "./permit.ts";
import { canonicalJson } from "./sha256.ts";

/** The fields of an update that name people. */
export const PEOPLE_FIELDS = [
  "dataHolders",
  "preprocessor",
  "reviewer",
  "setupReviewer",
  "researchers",
] as const;
/** One of {@link PEOPLE_FIELDS}. */
export type PeopleField = typeof PEOPLE_FIELDS[number];

/** The status that an event gives, and what else of it differs from the permit as it was. */
export interface UpdateSummary {
  status?: string;
  tier?: string;
  /** Null: no end date any more. */
  expiresAt?: string | null;
  people: PeopleField[];
}

/** The summary of `update`; `before` is the permit when it came, null: not known. Null: it says nothing of a field. */
export function summaryOf(
  { status, tier, expiresAt, ...rest }: PermitUpdate,
  before: Pick<Permit, "tier" | "expiresAt" | "members"> | null,
): UpdateSummary | null {
  const summary: UpdateSummary = {
    people: PEOPLE_FIELDS.filter((field) =>
      rest[field] !== undefined &&
      (before === null || canonicalJson(rest[field]) !== canonicalJson(before.members[field]))
    ),
  };
  if (status !== undefined) summary.status = status;
  if (tier !== undefined && tier !== (before?.tier ?? null)) summary.tier = tier;
  if (expiresAt !== undefined && expiresAt !== (before?.expiresAt ?? null)) summary.expiresAt = expiresAt;
  return Object.keys(summary).length === 1 && summary.people.length === 0 ? null : summary;
}
