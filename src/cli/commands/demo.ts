/** `wps demo`. */
import { object } from "@optique/core/constructs";
import { type CommandParser, localCommand } from "../args.ts";

/** See the file. */
export const command: CommandParser = localCommand(
  {
    name: "demo",
    brief: "One permit's whole life on a simulated cluster",
    description: "x",
    examples: [],
  },
  object({}),
  () => Promise.resolve(0),
);
