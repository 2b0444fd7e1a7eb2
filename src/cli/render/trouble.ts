/** What is wrong and what to do about it: first on the screen, because it is what the reader came for. */
import type { Style } from "../style.ts";
import { wrap } from "../text.ts";

/** One trouble of a permit, or an obstacle of a plan. */
export interface Trouble {
  message: string;
  advice: string | null;
}

/** Two or more lines per trouble; none without troubles. */
export function troubleLines(style: Style, troubles: Trouble[], columns: number): string[] {
  const width = Math.min(columns, 110) - 4;
  return troubles.flatMap(({ message, advice }) => [
    ...wrap(message, width).map((line, at) =>
      at === 0 ? `${style.red(style.signs.warning)} ${style.bold(line)}` : `  ${style.bold(line)}`
    ),
    ...adviceLines(style, advice, columns),
  ]);
}

/** What to do, beneath what it is about; none without advice. */
export function adviceLines(style: Style, advice: string | null, columns: number): string[] {
  if (advice === null) return [];
  const width = Math.min(columns, 110) - 6;
  return wrap(advice, width).map((line, at) => at === 0 ? `  ${style.signs.arrow} ${line}` : `    ${line}`);
}
