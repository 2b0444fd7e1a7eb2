/** How tests ended; skipped ones are neither passed nor failed. */
export interface Count {
  passed: number;
  failed: number;
  skipped: number;
}

/** Adds up counts. */
export function sum(counts: Count[]): Count {
  return counts.reduce(
    (total, { passed, failed, skipped }) => ({
      passed: total.passed + passed,
      failed: total.failed + failed,
      skipped: total.skipped + skipped,
    }),
    { passed: 0, failed: 0, skipped: 0 },
  );
}

/**
 * Counts the cases of a JUnit report as `deno test` writes it (a step is a case of its own).
 *
 * In: the report, or undefined when none was written, and whether the run succeeded. A run that failed
 * without naming a case (a module that threw, a crash) counts as one failure.
 */
export function countReport(xml: string | undefined, succeeded: boolean): Count {
  const count: Count = { passed: 0, failed: 0, skipped: 0 };
  for (const [whole] of (xml ?? "").matchAll(/<testcase\b[^>]*?(?:\/>|>[^]*?<\/testcase>)/g)) {
    if (/<(failure|error)\b/.test(whole)) count.failed++;
    else if (/<skipped\b/.test(whole)) count.skipped++;
    else count.passed++;
  }
  if (!succeeded && count.failed === 0) count.failed = 1;
  return count;
}
