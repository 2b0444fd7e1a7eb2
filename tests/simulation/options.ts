/** How the simulation is called. */
import { parseArgs } from "node:util";
import { FAULT_KINDS, type FaultKind } from "./faults.ts";

/** What the person asked for. */
export interface Options {
  /** Seeds "1" to this many, unless one is given. */
  seeds: number;
  /** Seeds that nobody chose, on top. */
  fresh: number;
  /** Stops after so long, however many are left; null: no. */
  minutes: number | null;
  workers: number;
  /** One run, told whole, and shrunk when it fails. */
  replay: { seed: string; without: string[] } | null;
  faults: FaultKind[];
  json: boolean;
}

/** How to call it. */
export const USAGE =
  `deno task sim [--seeds N] [--fresh N] [--minutes M] [--workers N] [--faults KIND,…|none] [--json]
deno task sim --planted [WORD…]
deno task sim --crashes [--every N] [--offset N] [--workers N] [SITUATION > TURN]
deno task sim --seed S [--faults KIND,…] [--without permit-1#2,…]
  --seeds N     play the seeds 1 to N (default 200)
  --fresh N     and N seeds that nobody chose (default 0)
  --minutes M   stop after so long
  --workers N   processes side by side (default: one per core)
  --faults      only these kinds: ${FAULT_KINDS.join(", ")}
  --seed S      play one seed again, whole; when it fails, look for the shortest history that does
  --without     leave these messages out
  --planted     write each known bug (whose name has one of the words) into a copy of the sources, and find it
  --crashes     lead a permit from each situation through each turn, once for each point at which the service can die`;

const NUMBERS = { seeds: 200, fresh: 0 } as const;

/** Reads the command line. Throws an Error with the usage for anything that cannot be understood. */
export function readOptions(args: string[], cores: number): Options {
  const { values } = parse(args);
  const number = (name: string, text: string | undefined, fallback: number): number => {
    if (text === undefined) return fallback;
    if (!/^\d{1,9}$/.test(text)) throw new Error(`--${name} ${text}: expected a whole number\n${USAGE}`);
    return Number(text);
  };
  const list = (text: string | undefined): string[] =>
    text === undefined || text === "none" ? [] : text.split(",");
  const unknown = list(values.faults).filter((kind) => !FAULT_KINDS.some((known) => known === kind));
  if (unknown.length > 0) throw new Error(`There is no fault ${unknown.join(", ")}\n${USAGE}`);
  return {
    seeds: number("seeds", values.seeds, NUMBERS.seeds),
    fresh: number("fresh", values.fresh, NUMBERS.fresh),
    minutes: values.minutes === undefined ? null : number("minutes", values.minutes, 0),
    workers: Math.max(1, number("workers", values.workers, cores)),
    replay: values.seed === undefined ? null : { seed: values.seed, without: list(values.without) },
    faults: values.faults === undefined
      ? FAULT_KINDS
      : FAULT_KINDS.filter((kind) => list(values.faults).includes(kind)),
    json: values.json === true,
  };
}

function parse(args: string[]): ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>> {
  try {
    return parseArgs({ args, options: OPTIONS });
  } catch (thrown) {
    throw new Error(`${thrown instanceof Error ? thrown.message : thrown}\n${USAGE}`);
  }
}

const OPTIONS = {
  seeds: { type: "string" },
  fresh: { type: "string" },
  minutes: { type: "string" },
  workers: { type: "string" },
  seed: { type: "string" },
  faults: { type: "string" },
  without: { type: "string" },
  json: { type: "boolean" },
} as const;
