/** The parts of a run, in their order. */
export const TIERS = ["ok", "service", "real"] as const;
export type Tier = (typeof TIERS)[number];

/** What the person asked of the test command. */
export interface Options {
  tiers: Tier[];
  /** Passed on to `deno test --filter`; the checks of the sources are left out then. */
  filter: string | undefined;
  /** Decides the order of the tests. */
  seed: number;
}

/** How to call the runner. */
export const USAGE = `deno task test [--tier ok|service|real]... [--filter TEXT|/REGEXP/] [--seed NUMBER]
  ok       formatting, lint, types, docs, unit and architecture tests
  service  the whole service on the simulated cluster
  real     real RabbitMQ, Redis, Kubernetes and processes`;

/** Reads the command line. Throws an Error with the usage for anything unknown. */
export function readOptions(args: string[], randomSeed: number): Options {
  const options: Options = { tiers: [], filter: undefined, seed: randomSeed };
  const rest = args.flatMap((arg) => /^--\w+=/.test(arg) ? splitOnce(arg) : [arg]);
  for (let at = 0; at < rest.length; at += 2) {
    const [name, value] = [rest[at], rest[at + 1]];
    if (value === undefined) throw new Error(`${name} needs a value\n${USAGE}`);
    if (name === "--tier") options.tiers.push(readTier(value));
    else if (name === "--filter") options.filter = value;
    else if (name === "--seed" && /^\d{1,9}$/.test(value)) options.seed = Number(value);
    else throw new Error(`Unknown option ${name} ${value}\n${USAGE}`);
  }
  if (options.tiers.length === 0) options.tiers = [...TIERS];
  options.tiers.sort((one, other) => TIERS.indexOf(one) - TIERS.indexOf(other));
  return options;
}

function splitOnce(arg: string): string[] {
  const at = arg.indexOf("=");
  return [arg.slice(0, at), arg.slice(at + 1)];
}

function readTier(value: string): Tier {
  const tier = TIERS.find((known) => known === value);
  if (tier === undefined) throw new Error(`Unknown tier ${value}\n${USAGE}`);
  return tier;
}
