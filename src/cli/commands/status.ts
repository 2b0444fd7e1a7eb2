/** `wps status PERMIT`. */
import { object } from "@optique/core/constructs";
import { type CommandParser, permitArgument, serviceCommand, switchOption } from "../args.ts";
import { showEvidence } from "../evidence.ts";
import { showStatus } from "../status.ts";

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
      ["wps status permit-001 --evidence", "how its isolation was proven"],
      ["wps status permit-001 --json | jq .troubles", "for scripts"],
    ],
  },
  object({
    permit: permitArgument(),
    evidence: switchOption(["--evidence"], "The proofs of isolation instead: what was tried, how it failed"),
  }),
  ({ permit, evidence }, common, context) =>
    evidence ? showEvidence(permit, common, context) : showStatus(permit, common, context),
);
