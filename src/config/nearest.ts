/** "Did you mean …?": the known word nearest to a mistyped one. */

/** Words longer than this are compared only up to it; keys and names are far shorter. */
const COMPARED_MAX = 64;

/** Edits (insert, delete, replace, swap of neighbours) from one word to another: optimal string alignment. */
function distance(from: string, to: string): number {
  const rows: number[][] = [];
  const at = (i: number, j: number): number => rows[i]?.[j] ?? Math.max(i, j);
  for (let i = 0; i <= from.length; i++) {
    rows.push([i]);
    for (let j = 1; j <= to.length; j++) {
      if (i === 0) {
        rows[0]?.push(j);
        continue;
      }
      const replace = at(i - 1, j - 1) + (from[i - 1] === to[j - 1] ? 0 : 1);
      let least = Math.min(at(i - 1, j) + 1, at(i, j - 1) + 1, replace);
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]) {
        least = Math.min(least, at(i - 2, j - 2) + 1);
      }
      rows[i]?.push(least);
    }
  }
  return at(from.length, to.length);
}

/** The known word that `word` was probably meant to be; null when none is near enough. */
export function nearest(word: string, known: readonly string[]): string | null {
  const typed = word.toLowerCase().slice(0, COMPARED_MAX);
  const scored = known.map((candidate) => {
    const target = candidate.toLowerCase().slice(0, COMPARED_MAX);
    const edits = distance(typed, target);
    const isPart = typed.length > 2 && (target.includes(typed) || typed.includes(target));
    return { candidate, edits, isNear: edits <= Math.max(1, Math.floor(target.length / 3)), isPart };
  });
  const near = scored.filter(({ isNear }) => isNear).sort((a, b) => a.edits - b.edits);
  return (near[0] ?? scored.find(({ isPart }) => isPart))?.candidate ?? null;
}

/** `; did you mean "x"?`, or nothing: for the end of a sentence that says what was expected. */
export function didYouMean(word: string, known: readonly string[]): string {
  const match = nearest(word, known);
  return match === null ? "" : `; did you mean "${match}"?`;
}
