/** Cases of the driver suite that a platform cannot show: none is ever passed over without its reason, under CI least. */
import { report } from "../cluster/availability.ts";
import type { OptionalVerb } from "./backend.ts";
import type { DriverCase } from "./case.ts";

/** What a platform lacks, in words that end "what needs …". */
export interface Lack {
  what: string;
  why: string;
  remedy: string;
}

/** By the verb that cases need. What is not named is there. */
export type Lacks = Partial<Record<OptionalVerb, Lack>>;

/** Why a case cannot run; undefined: it can. */
export function lackOf({ needs }: Pick<DriverCase, "needs">, lacks: Lacks): Lack | undefined {
  return needs === undefined ? undefined : lacks[needs];
}

/** Tells each case that is left out, by what it needs, at once and at the end of the run. `tell`: for tests. */
export function reportLeftOutCases(
  platform: string,
  cases: readonly Pick<DriverCase, "name" | "needs">[],
  lacks: Lacks,
  tell: typeof report = report,
): void {
  const verbs = new Set(cases.map(({ needs }) => needs));
  for (const verb of verbs) {
    const lack = verb === undefined ? undefined : lacks[verb];
    if (lack === undefined) continue;
    const names = cases.filter(({ needs }) => needs === verb).map(({ name }) => `${platform}: ${name}`);
    tell({ component: lack.what, why: lack.why, remedy: lack.remedy, cases: names });
  }
}
