/** Reads the built-in phases and a site's own, checks all of them, and returns the set that the planner works with. */
import { fileURLToPath } from "node:url";
import type { z } from "zod";
import type { EventPhase, PhaseSet, StatusPhase } from "../core/phase.ts";
import type { VolumeRule } from "../core/volume.ts";
import { complaints, parseYaml, place, type YamlDocument } from "../config/document.ts";
import { type FileReader, readFailure } from "../config/disk.ts";
import { byPlace, type Problem } from "../config/problem.ts";
import { eventFindings, statusFindings } from "./phase_rules.ts";
import { eventFile, statusFile, volumesFile } from "./schema.ts";
import { setFindings, volumeFindings } from "./set_rules.ts";

/** A site has a dozen phases; more files than this is a wrong folder. */
const FILES_MAX = 200;

/** The folder of the built-in phases; `deno compile --include phases` carries it along. */
export const BUILT_IN_PHASES: string = fileURLToPath(new URL("../../phases", import.meta.url));

/** Where phases come from. */
export interface PhaseSource {
  /** Usually {@link BUILT_IN_PHASES}. */
  builtInDirectory: string;
  /** `phases.directory` of the configuration; null: the built-in ones alone. */
  siteDirectory: string | null;
  files: FileReader;
}

/** Either a set that breaks no rule, or every problem found, ordered by place. */
export type PhaseResult =
  | { phases: PhaseSet; overridden: string[]; problems: [] }
  | { phases: null; overridden: string[]; problems: Problem[] };

/** One thing that a file says, with the file to point into. */
interface Said<Thing> {
  thing: Thing;
  document: YamlDocument;
}

interface Layer {
  statuses: Map<string, Said<StatusPhase>>;
  events: Map<string, Said<EventPhase>>;
  volumes: Map<string, Said<VolumeRule>>;
  problems: Problem[];
}

/**
 * All phases of a site. A site's file replaces the built-in phase of the same status or event whole, or adds a
 * status; its volumes.yaml replaces or adds single volumes (DESIGN 4). Never throws for what a file says.
 */
export async function loadPhases(source: PhaseSource): Promise<PhaseResult> {
  const builtIn = await readLayer(source.builtInDirectory, source.files);
  const site = source.siteDirectory === null
    ? emptyLayer()
    : await readLayer(source.siteDirectory, source.files);
  const statuses = new Map([...builtIn.statuses, ...site.statuses]);
  const events = new Map([...builtIn.events, ...site.events]);
  const volumes = new Map([...builtIn.volumes, ...site.volumes]);
  const phases: PhaseSet = { statuses: things(statuses), events: things(events), volumes: things(volumes) };

  const problems = [...builtIn.problems, ...site.problems];
  for (const { thing, document } of volumes.values()) {
    problems.push(...place(document, volumeFindings(thing, builtIn.volumes.get(thing.name)?.thing)));
  }
  for (const { thing, document } of statuses.values()) {
    problems.push(...place(document, statusFindings(thing, phases.volumes)));
  }
  for (const { thing, document } of events.values()) {
    problems.push(...place(document, eventFindings(thing, phases.volumes)));
  }
  const whole = setFindings([...phases.statuses.values()], [...phases.events.values()], phases.volumes);
  for (const finding of whole) {
    const document = (statuses.get(finding.phase) ?? events.get(finding.phase))?.document;
    if (document !== undefined) problems.push(...place(document, [finding]));
  }
  const replaced = (mine: ReadonlyMap<string, unknown>, base: ReadonlyMap<string, unknown>): string[] =>
    [...mine.keys()].filter((name) => base.has(name));
  const overridden = [
    ...replaced(site.statuses, builtIn.statuses),
    ...replaced(site.events, builtIn.events),
    ...replaced(site.volumes, builtIn.volumes),
  ];
  if (problems.length > 0) return { phases: null, overridden, problems: problems.sort(byPlace) };
  return { phases, overridden, problems: [] };
}

function things<Thing>(said: ReadonlyMap<string, Said<Thing>>): Map<string, Thing> {
  return new Map([...said].map(([name, { thing }]) => [name, thing]));
}

function emptyLayer(): Layer {
  return { statuses: new Map(), events: new Map(), volumes: new Map(), problems: [] };
}

/** Everything that the YAML files of one folder say. */
async function readLayer(directory: string, files: FileReader): Promise<Layer> {
  const layer = emptyLayer();
  const complain = (file: string, message: string): void => {
    layer.problems.push({ file, line: null, column: null, key: "", message, invariant: null });
  };
  let names: string[];
  try {
    names = (await files.list(directory)).filter((name) => /\.ya?ml$/.test(name) && !name.startsWith("."))
      .sort();
  } catch (thrown) {
    complain(directory, `cannot read the folder of phases: ${readFailure(thrown)}`);
    return layer;
  }
  if (names.length > FILES_MAX) {
    complain(directory, `the folder has ${names.length} YAML files; at most ${FILES_MAX} are read`);
    return layer;
  }
  if (names.length === 0) complain(directory, "the folder has no .yaml file");
  for (const name of names) {
    const file = `${directory.replace(/\/+$/, "")}/${name}`;
    try {
      readPhaseFile(layer, file, name, await files.read(file));
    } catch (thrown) {
      complain(file, `cannot read the file: ${readFailure(thrown)}`);
    }
  }
  return layer;
}

function readPhaseFile(layer: Layer, file: string, name: string, text: string): void {
  const parsed = parseYaml(file, text);
  if (parsed.document === null) {
    layer.problems.push(...parsed.problems);
    return;
  }
  const { document } = parsed;
  const has = (key: string): boolean =>
    typeof document.value === "object" && document.value !== null && key in document.value;
  if (/^volumes\.ya?ml$/.test(name)) {
    const rules = read(layer, document, volumesFile) ?? [];
    for (const rule of rules) keep(layer, layer.volumes, rule.name, rule, document, ["volumes", rule.name]);
  } else if (has("event") && !has("status")) {
    const event = read(layer, document, eventFile);
    if (event !== null) keep(layer, layer.events, event.event, event, document, ["event"]);
  } else if (has("status") && !has("event")) {
    const status = read(layer, document, statusFile);
    if (status !== null) keep(layer, layer.statuses, status.status, status, document, ["status"]);
  } else {
    const message = has("volumes")
      ? "volumes: belongs in volumes.yaml"
      : "expected either status: (a phase) or event: at the top of the file";
    layer.problems.push(...place(document, [{ path: [], message }]));
  }
}

function read<Output>(layer: Layer, document: YamlDocument, schema: z.ZodType<Output>): Output | null {
  const result = schema.safeParse(document.value);
  if (result.success) return result.data;
  layer.problems.push(...place(document, complaints(result.error, document.value)));
  return null;
}

/** Keeps what a file says, unless another file of the same folder said it already. */
function keep<Thing>(
  layer: Layer,
  map: Map<string, Said<Thing>>,
  name: string,
  thing: Thing,
  document: YamlDocument,
  path: PropertyKey[],
): void {
  const earlier = map.get(name);
  if (earlier === undefined) {
    map.set(name, { thing, document });
    return;
  }
  const message = `${name} is already in ${earlier.document.file}; keep one of them`;
  layer.problems.push(...place(document, [{ path, message }]));
}
