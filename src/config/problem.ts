/** What is wrong in a file of the site, said so that its author can mend it. */

/** One problem. Line and column count from 1; null where the problem has no place in a text. */
export interface Problem {
  /** The file as it was named, or "environment variable WPS_…". */
  file: string;
  line: number | null;
  column: number | null;
  /** Path of the key, e.g. "workspaces[0].mounts[2].mode"; empty: the whole file. */
  key: string;
  /** What is wrong and what was expected. Never a value of the configuration, which may be a secret. */
  message: string;
  /** The invariant of DESIGN 5 that the text would break; null: none. */
  invariant: number | null;
}

/** "network.canaries[1].port" from `["network", "canaries", 1, "port"]`. */
export function keyText(path: readonly PropertyKey[]): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === "number") return `${text}[${part}]`;
    return text === "" ? String(part) : `${text}.${String(part)}`;
  }, "");
}

/** One line: "phases/x.yaml:12:7: workspaces[0].network: expected one of … (invariant 1)". */
export function problemLine(problem: Problem): string {
  const { file, line, column, key, message, invariant } = problem;
  const place = line === null ? file : column === null ? `${file}:${line}` : `${file}:${line}:${column}`;
  const subject = key === "" ? "" : `${key}: `;
  return `${place}: ${subject}${message}${invariant === null ? "" : ` (invariant ${invariant})`}`;
}

/** By file, then line, then column; problems without a place come first. */
export function byPlace(a: Problem, b: Problem): number {
  if (a.file !== b.file) return a.file < b.file ? -1 : 1;
  return (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);
}
