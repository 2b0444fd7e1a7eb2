/** The configuration and phases of this site, whole and checked: for what runs in this process. */
import { describeConfig, type ShownConfig } from "../config/describe.ts";
import { disk, inspectDisk } from "../config/disk.ts";
import { type ConfigResult, loadConfig, type LoadedConfig } from "../config/load.ts";
import { inspectPlaces, type PlacesVerdict } from "../config/places.ts";
import { type Problem, problemLine } from "../config/problem.ts";
import { type Config, configJsonSchema } from "../config/schema.ts";
import { disagreements, type PhaseNames } from "../config/site.ts";
import { Fault } from "../core/fault.ts";
import type { PhaseSet } from "../core/phase.ts";
import { type CredentialFile, credentialFiles } from "../drivers/kubernetes/kubeconfig.ts";
import { BUILT_IN_PHASES, loadPhases, type PhaseResult } from "../phases/load.ts";
import { CliError, EXIT } from "./exit.ts";
import type { Environment } from "./terminal.ts";

/** A site that breaks no rule. */
export interface Setup {
  config: Config;
  phases: PhaseSet;
}

/** `--config`, else WPS_CONFIG, else the default file; every problem in the result. */
export async function readConfig(path: string | undefined, environment: Environment): Promise<ConfigResult> {
  return await loadConfig({ path: path ?? null, environment, files: disk });
}

/** The built-in phases with the site's own over them; null: the built-in ones alone. */
export async function readPhases(siteDirectory: string | null): Promise<PhaseResult> {
  return await loadPhases({ builtInDirectory: BUILT_IN_PHASES, siteDirectory, files: disk });
}

/** Problems between configuration and phases, which each alone cannot show. */
export function jointProblems(config: Config, phases: PhaseSet, file: string | null): Problem[] {
  return disagreements(config, namesIn(phases), file ?? "configuration");
}

/** A {@link readConfig} without problems; a CliError with every problem otherwise. */
export async function requireConfig(
  path: string | undefined,
  environment: Environment,
): Promise<LoadedConfig> {
  const read = await readConfig(path, environment);
  if (read.config === null) throw problemsError("the configuration is not as it should be", read.problems);
  return read;
}

/** What is in force, by the keys of the file, without secrets. */
export function shownConfig(read: LoadedConfig): ShownConfig {
  return describeConfig(read, configJsonSchema());
}

/** Folders and secrets of this machine, which only the service itself needs as they should be. */
export async function readPlaces({ config, file, ...secrets }: LoadedConfig): Promise<PlacesVerdict> {
  const { files, warnings } = await readCredentialFiles(config, file);
  const verdict = await inspectPlaces(config, { ...secrets, credentialFiles: files }, file, inspectDisk);
  return { ...verdict, warnings: [...verdict.warnings, ...warnings] };
}

/** A kubeconfig that WPS cannot use is a warning: it is read again while the service runs, and may be mended then. */
async function readCredentialFiles(
  { drivers: { kubernetes } }: Config,
  file: string | null,
): Promise<{ files: CredentialFile[]; warnings: Problem[] }> {
  if (kubernetes?.kubeconfig === undefined) return { files: [], warnings: [] };
  try {
    const files = await credentialFiles(kubernetes.kubeconfig, kubernetes.context, (path) => disk.read(path));
    return { files, warnings: [] };
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown;
    const place = { file: file ?? "configuration", line: null, column: null, invariant: null };
    const message = thrown.advice === null ? thrown.message : `${thrown.message}. ${thrown.advice}`;
    return { files: [], warnings: [{ ...place, key: "drivers.kubernetes.kubeconfig", message }] };
  }
}

/**
 * What the service starts with, or a CliError with every problem as "file:line:column: key: expected", of its folders and
 * secrets too; `warnings` do not keep it from starting.
 */
export async function loadServiceSetup(
  path: string | undefined,
  environment: Environment,
): Promise<Setup & { warnings: Problem[] }> {
  const read = await requireConfig(path, environment);
  const setup = await setupOf(read);
  const { problems, warnings } = await readPlaces(read);
  if (problems.length > 0) throw problemsError("folders or keys are not as they should be", problems);
  return { ...setup, warnings };
}

/** A site as far as its files can be used, for answers from a stopped service's database. */
export interface SiteLeft {
  config: Config;
  /** A Fault: why they cannot be read. */
  phases: PhaseSet | Fault;
  /** What else is wrong, one sentence; null: nothing. */
  note: string | null;
}

/** As {@link loadServiceSetup}, but only a configuration that cannot be used leaves as a CliError. */
export async function loadSiteLeft(path: string | undefined, environment: Environment): Promise<SiteLeft> {
  const { config, file } = await requireConfig(path, environment);
  const { phases, problems } = await readPhases(config.phases.directory);
  if (phases === null) {
    const said = summaryOf(problems);
    const fault = new Fault("stalled", "invalid", `Cannot read the phases: ${said}`, {
      target: "phases",
      advice: "Correct it, then run wps phases check; until then each status is the one seen last",
    });
    return { config, phases: fault, note: `the phases cannot be read, statuses are as seen last: ${said}` };
  }
  const joint = jointProblems(config, phases, file);
  const note = joint.length === 0
    ? null
    : `configuration and phases do not fit each other: ${summaryOf(joint)}`;
  return { config, phases, note };
}

function summaryOf([first, ...others]: Problem[]): string {
  if (first === undefined) return "nobody knows why";
  return `${problemLine(first)}${others.length === 0 ? "" : ` (and ${others.length} more)`}`;
}

async function setupOf({ config, file }: LoadedConfig): Promise<Setup> {
  const { phases, problems } = await readPhases(config.phases.directory);
  if (phases === null) throw problemsError("the phases are not as they should be", problems);
  const joint = jointProblems(config, phases, file);
  if (joint.length > 0) throw problemsError("configuration and phases do not fit each other", joint);
  return { config, phases };
}

/** Usage (2), so that a supervisor does not start it again and again: a person must change a file. */
function problemsError(what: string, problems: Problem[]): CliError {
  return new CliError(EXIT.usage, `Cannot use this site: ${what}`, {
    details: problems.map(problemLine),
    advice: ["Correct it, or name another one with --config FILE, then run wps config check"],
  });
}

function namesIn(phases: PhaseSet): PhaseNames {
  const rules = [...phases.statuses.values(), ...phases.events.values()]
    .flatMap(({ workspaces }) => workspaces);
  return {
    kinds: [...new Set(rules.map(({ kind }) => kind))],
    volumes: [...phases.volumes.keys()],
    usesProxy: rules.some(({ network }) => network === "proxied"),
  };
}
