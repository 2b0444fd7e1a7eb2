/** `wps permits`. */
import { object } from "@optique/core/constructs";
import { choice, string } from "@optique/core/valueparser";
import type { PermitView } from "../../api/schemas/permits.ts";
import { STATUSES } from "../../core/status.ts";
import { choiceOption, type CommandParser, limitOption, serviceCommand, switchOption } from "../args.ts";
import { listAll, moreText } from "../paging.ts";
import { permitListLines } from "../render/permit_list.ts";

/** See the file. */
export const command: CommandParser = serviceCommand(
  {
    name: "permits",
    brief: "All permits with their status",
    description: "Lists permits in the order of their ids. Works from the database when the service is down.",
    examples: [
      ["wps permits", "the first 50"],
      ["wps permits --status FAILED", "what needs somebody"],
      ["wps permits --phase ANALYSIS_ACTIVE --limit 1000", "who analyses now"],
    ],
  },
  object({
    status: choiceOption(
      "--status",
      choice(STATUSES, { metavar: "STATUS" }),
      "Only permits whose public status is this",
    ),
    phase: choiceOption("--phase", string({ metavar: "PHASE" }), "Only permits in this phase"),
    halted: switchOption(["--halted"], "Only halted permits"),
    deletion: choiceOption(
      "--deletion",
      choice(["none", "requested", "done"], { metavar: "STATE" }),
      "Only permits whose deletion is so",
    ),
    limit: limitOption(),
  }),
  async ({ limit, halted, ...filters }, common, context) => {
    const client = context.surroundings.connect(common);
    const wanted = { ...filters, halted: halted ? true : undefined };
    const list = await listAll<PermitView>(client, "/permits", wanted, limit);
    const more = moreText(list);
    if (more !== null) context.note(more);
    return context.show(common.json, list.items, (items) => permitListLines(items, context));
  },
);
