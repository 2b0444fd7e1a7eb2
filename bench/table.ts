/** Figures as a table for people; the JSON beside it has the same rows. */

/** One measured thing. `ratio` is against the floor of the same run; null: it has none. */
export interface Row {
  section: string;
  what: string;
  value: string;
  ratio: number | null;
}

/** The value below which `share` of the values lie. */
export function quantile(values: number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

/** "12.3 ms p50, 20.1 ms p99 (n=40)". */
export function spread(valuesMs: number[]): string {
  const [p50, p99] = [quantile(valuesMs, 0.5), quantile(valuesMs, 0.99)];
  return `${p50.toFixed(1)} ms p50, ${p99.toFixed(1)} ms p99 (n=${valuesMs.length})`;
}

/** Aligned columns, one line a row, a heading a section. */
export function render(rows: Row[]): string {
  const width = Math.max(...rows.map(({ what }) => what.length));
  const lines: string[] = [];
  let section = "";
  for (const row of rows) {
    if (row.section !== section) lines.push("", row.section);
    section = row.section;
    const ratio = row.ratio === null ? "" : `   ×${row.ratio.toFixed(2)}`;
    lines.push(`  ${row.what.padEnd(width)}  ${row.value}${ratio}`);
  }
  return lines.join("\n");
}
