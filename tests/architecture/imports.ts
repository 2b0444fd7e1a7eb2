/** What is wrong with a file, in words for its author. */
export interface Finding {
  file: string;
  problem: string;
}

/** A file of the program with the files of the repository that it imports (paths from the root). */
export type ImportGraph = Map<string, string[]>;

/** The place of a file. Files of one unit may import each other; else imports go to a higher rank only. */
interface Place {
  unit: string;
  rank: number;
}

/** DESIGN 2: imports point one way, and siblings never import each other. */
const PLACES: Array<{ files: RegExp; rank: number }> = [
  { files: /^(main)\.ts$/, rank: 0 },
  { files: /^src\/(cli)\//, rank: 1 },
  { files: /^src\/(app)(?:\.ts$|\/)/, rank: 2 },
  { files: /^src\/(intake|runner|api|readmodel)\//, rank: 3 },
  // the machine's own clock and randomness: only who puts the program together may choose them
  { files: /^src\/(machine)\.ts$/, rank: 3 },
  { files: /^src\/(store|phases|policy|drivers\/[^/]+)\//, rank: 4 },
  { files: /^src\/(config)\//, rank: 5 },
  { files: /^src\/(log|scrub|version)\.ts$/, rank: 5 },
  { files: /^src\/(core)\//, rank: 6 },
];
/** What everybody but the core may use, each other included. */
const SHARED_RANK = 5;
/** The one way up: the configuration is checked whole, so it knows each driver's section, and nothing else of it. */
const SECTIONS = /^src\/config\/sections\/drivers\.ts > src\/drivers\/[^/]+\/settings\.ts$/;

function placeOf(file: string): Place | undefined {
  for (const { files, rank } of PLACES) {
    const unit = files.exec(file)?.[1];
    if (unit !== undefined) return { unit: rank === SHARED_RANK ? "shared" : unit, rank };
  }
  return undefined;
}

/** Finds every import that points the wrong way, and every file that has no place in the order. */
export function findWrongWays(graph: ImportGraph): Finding[] {
  const findings: Finding[] = [];
  for (const [file, targets] of graph) {
    const from = placeOf(file);
    if (from === undefined) {
      findings.push({
        file,
        problem: "has no place in the order of imports: say in tests/architecture where it belongs",
      });
      continue;
    }
    for (const target of targets) {
      const to = SECTIONS.test(`${file} > ${target}`) ? from : placeOf(target);
      if (to === undefined) {
        if (isSource(target) || from.unit === "core") {
          findings.push({ file, problem: `imports ${target}, which is no part of the program` });
        }
      } else if (to.unit !== from.unit && to.rank <= from.rank) {
        const why = to.rank === from.rank ? "its sibling" : "which is above it";
        findings.push({ file, problem: `imports ${target}, ${why}: ${from.unit} must not know ${to.unit}` });
      }
    }
  }
  return findings;
}

/** Data (JSON, SQL, YAML) has no place in the order: it imports nothing. */
function isSource(file: string): boolean {
  return /\.[cm]?[jt]sx?$/.test(file);
}

/** Finds import cycles, each once, as the way round. Type-only imports count: they are knowledge too. */
export function findCycles(graph: ImportGraph): string[][] {
  const cycles: string[][] = [];
  const done = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    const at = path.indexOf(file);
    if (at >= 0) cycles.push([...path.slice(at), file]);
    if (at >= 0 || done.has(file)) return;
    path.push(file);
    for (const target of graph.get(file) ?? []) visit(target);
    path.pop();
    done.add(file);
  };
  for (const file of [...graph.keys()].sort()) visit(file);
  return cycles;
}

/**
 * The file that a relative specifier means, as a path from the root; undefined for a package.
 * Climbing out of the repository keeps its `..`, so that no rule takes it for a file of ours.
 */
export function resolveImport(file: string, specifier: string): string | undefined {
  if (!/^\.{1,2}\//.test(specifier)) return undefined;
  const parts = file.split("/").slice(0, -1);
  for (const part of specifier.split("/")) {
    if (part === "..") {
      if (parts.length === 0 || parts.at(-1) === "..") parts.push("..");
      else parts.pop();
    } else if (part !== ".") parts.push(part);
  }
  return parts.join("/");
}
