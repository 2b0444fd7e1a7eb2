/** `wps serve`. */
import { object } from "@optique/core/constructs";
import { type CommandParser, localCommand } from "../args.ts";
import { loadHeavy } from "../heavy.ts";

/** See the file. */
export const command: CommandParser = localCommand(
  {
    name: "serve",
    brief: "Run the service",
    description:
      "Reads configuration and phases, starts the service and runs until SIGTERM or SIGINT, which lets " +
      "what runs come to a boundary; a second one ends it at once. Logs to standard error. Ends with 2 when the " +
      "configuration or the phases are wrong, with 1 when it cannot start.",
    examples: [
      ["wps serve", "with /etc/wps/wps.yaml"],
      ["wps serve --config ./wps.yaml", "with another one"],
    ],
  },
  object({}),
  async (_given, common, context) => {
    const { serve } = await loadHeavy("./serve.ts");
    return await serve(common, context);
  },
);
