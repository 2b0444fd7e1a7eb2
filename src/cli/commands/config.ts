/** `wps config check|show`. */
import { object } from "@optique/core/constructs";
import type { Problem } from "../../config/problem.ts";
import { branch, type CommandParser, localCommand } from "../args.ts";
import { EXIT } from "../exit.ts";
import { loadHeavy } from "../heavy.ts";
import { counted } from "../text.ts";

const check = localCommand(
  {
    name: "check",
    brief: "Whether the configuration and the phases are as they should be",
    description:
      "Checks the file, the environment over it, the files that it names, the phases, whether they fit each other, " +
      "and the folders and keys of this machine, as the user who asks. Ends with 1 when something is wrong; a warning " +
      "is not. Starts and changes nothing.",
    examples: [
      ["wps config check", "what the service would use"],
      ["wps config check --config new.yaml", "before it is installed"],
    ],
  },
  object({}),
  async (_given, common, context) => {
    const { jointProblems, readConfig, readPhases, readPlaces } = await loadHeavy("./setup.ts");
    const { problemLine } = await import("../../config/problem.ts");
    const read = await readConfig(common.config, context.surroundings.environment);
    const problems = [...read.problems];
    const warnings: Problem[] = [];
    if (read.config !== null) {
      const { phases, problems: wrong } = await readPhases(read.config.phases.directory);
      problems.push(...wrong);
      if (phases !== null) problems.push(...jointProblems(read.config, phases, read.file));
      const places = await readPlaces(read);
      problems.push(...places.problems);
      warnings.push(...places.warnings);
    }
    const file = read.file ?? "no file, only defaults and environment";
    const verdict = { file: read.file, valid: problems.length === 0, problems, warnings };
    context.show(common.json, verdict, (view) => [
      ...view.problems.map(problemLine),
      ...view.warnings.map((warning) => `warning: ${problemLine(warning)}`),
      view.valid
        ? `${context.style.signs.ok} ${file}: as it should be`
        : `${counted(view.problems.length, "problem")} in ${file}`,
    ]);
    return verdict.valid ? EXIT.done : EXIT.failed;
  },
);

const show = localCommand(
  {
    name: "show",
    brief: "The configuration in force, defaults included, secrets hidden",
    description:
      "Shows what the service would use, by the keys of the file, and where each value comes from: the file, " +
      "an environment variable, or default.",
    examples: [
      ["wps config show", "all of it"],
      ["wps config show --json | jq .config.listen", "one section"],
    ],
  },
  object({}),
  async (_given, common, context) => {
    const { requireConfig, shownConfig } = await loadHeavy("./setup.ts");
    const { configurationLines } = await import("../render/configuration.ts");
    const read = await requireConfig(common.config, context.surroundings.environment);
    const { config, origins } = shownConfig(read);
    return context.show(common.json, { file: read.file, config, origins }, (view) => {
      const head = `# ${view.file ?? "no file: defaults and environment"}`;
      return [head, ...configurationLines(view.config, view.origins)];
    });
  },
);

/** See the file. */
export const command: CommandParser = branch(
  {
    name: "config",
    brief: "The configuration: check, show",
    description: "One YAML file, with the environment over it.",
  },
  check,
  show,
);
