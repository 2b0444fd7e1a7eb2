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
    ...(advice === null
      ? []
      : wrap(advice, width - 2).map((line, at) =>
        at === 0 ? `  ${style.signs.arrow} ${line}` : `    ${line}`
      )),
  ]);
}
