/** `wps demo`. */
import { object } from "@optique/core/constructs";
import { type CommandParser, localCommand } from "../args.ts";
import { loadHeavy } from "../heavy.ts";

/** See the file. */
export const command: CommandParser = localCommand(
  {
    name: "demo",
    brief: "One permit's whole life on a simulated cluster",
    description:
      "Starts the real service on a simulated cluster, in folders of its own, and plays a permit from " +
      "permit.ingress.initiated to permit.deleted: each event, its verdict, the plan, each step, what exists after " +
      "it. Needs no broker, no cluster, no configuration, and leaves nothing. Ends with 0 only when each phase was " +
      "verified from what the cluster really has. --json prints one object a line.",
    examples: [
      ["wps demo", "for people"],
      ["wps demo --json | jq 'select(.record == \"checks\")'", "for programs"],
    ],
  },
  object({}),
  async (_given, common, context) => {
    const { demo } = await loadHeavy("./demo.ts");
    return await demo(common, context);
  },
);
