/** Figures as a table for people; the JSON beside it has the same rows. */

/** One measured thing. `ratio` is against the floor of the same run; null: it has none. */
export interface Row {
  section: string;
  what: string;
  value: string;
  ratio: number | null;
}

/** The value below which `share` of the values lie, between two of them in proportion; NaN: there are none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const below = sorted[Math.floor(at)] ?? NaN, above = sorted[Math.ceil(at)] ?? NaN;
  return below + (above - below) * (at - Math.floor(at));
}

/** With so many samples a share of them lies beyond two at least, so that no single one decides where it ends. */
const HALF_FROM = 8, MOST_FROM = 20, TAIL_FROM = 200;

/**
 * "12.3 ms median, 80 % within 11.0 to 14.2 (n=40)": median and spread, and of the spread only what so many samples can
 * tell. Of few all are shown, in the order in which they came.
 */
export function spread(
  values: readonly number[],
  unit: "ms" | "s" | "MiB" | "/s" = "ms",
  digits = 1,
): string {
  const text = (value: number): string => value.toFixed(digits);
  const of = (share: number): string => text(quantile(values, share));
  const gap = unit === "/s" ? "" : " ";
  const median = `${of(0.5)}${gap}${unit}`;
  const count = values.length;
  if (count === 1) return `${median} (measured once)`;
  if (count < HALF_FROM) return `${median} median of ${values.map(text).join(", ")}`;
  const within = count < MOST_FROM
    ? `half within ${of(0.25)} to ${of(0.75)}`
    : `80 % within ${of(0.1)} to ${of(0.9)}`;
  const tail = count < TAIL_FROM ? "" : `, 99 % below ${of(0.99)}`;
  return `${median} median, ${within}${tail} (n=${count})`;
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
