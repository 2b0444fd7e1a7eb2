/** `wps version`. */
import { object } from "@optique/core/constructs";
import { VERSION } from "../../version.ts";
import { type CommandParser, localCommand } from "../args.ts";
import { fields } from "../table.ts";

/** See the file. */
export const command: CommandParser = localCommand(
  {
    name: "version",
    brief: "The version of this program",
    description: "Shows the version of this program and what it runs on; a running service says its own in " +
      "GET /api/v1/health.",
    examples: [["wps version --json", "for an inventory"]],
  },
  object({}),
  (_given, common, context) => {
    const version = {
      wps: VERSION,
      deno: Deno.version.deno,
      v8: Deno.version.v8,
      platform: Deno.build.target,
    };
    const code = context.show(common.json, version, (view) => [
      `wps ${view.wps}`,
      ...fields([["deno", view.deno], ["v8", view.v8], ["platform", view.platform]], "  "),
    ]);
    return Promise.resolve(code);
  },
);
