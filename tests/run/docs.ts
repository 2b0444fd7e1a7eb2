/** An exported symbol that nobody described. */
export interface Undocumented {
  file: string;
  line: number;
}

/**
 * Reads what `deno doc --lint` says and keeps what this project asks for: a comment on whatever a file exports.
 * Not asked for: one on each field of a type, whose name should say it, and the rules for published packages
 * (private-type-ref counts every type of a dependency as private).
 *
 * In: its error output, and how to read a line of a file (1 is the first). Out: the exports without a comment;
 * undefined when the output holds no finding at all, so that a crash is not taken for a clean bill.
 */
export function readDocLint(
  output: string,
  readLine: (file: string, line: number) => string,
): Undocumented[] | undefined {
  const findings = [...output.matchAll(/^error\[([\w-]+)\]: .*\n\s+--> (.+):(\d+):\d+$/gm)];
  if (findings.length === 0) return undefined;
  return findings.flatMap(([, rule, file = "", line]) => {
    if (rule !== "missing-jsdoc") return [];
    return /^export\b/.test(readLine(file, Number(line))) ? [{ file, line: Number(line) }] : [];
  });
}
