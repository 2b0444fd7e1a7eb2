/** `wps status PERMIT`. */
import { object } from "@optique/core/constructs";
import type { PermitDetail } from "../../api/schemas/permits.ts";
import { type CommandParser, permitArgument, serviceCommand } from "../args.ts";
import { segment } from "../client.ts";
import { permitLines } from "../render/status.ts";

/** See the file. */
export const command: CommandParser = serviceCommand(
  {
    name: "status",
    brief: "Everything about one permit: what is, what is wrong, what to do",
    description:
      "Shows phase, workspaces, volumes, the current job with its progress, the last events, and what " +
      "is wrong with advice. Works from the database when the service is down.",
    examples: [
      ["wps status permit-001", "for people"],
      ["wps status permit-001 --json | jq .troubles", "for scripts"],
    ],
  },
  object({ permit: permitArgument() }),
  async ({ permit }, common, context) => {
    const client = context.surroundings.connect(common);
    const detail = await client.get<PermitDetail>(`/permits/${segment(permit)}`);
    return context.show(common.json, detail, (view) => permitLines(view, context));
  },
);
