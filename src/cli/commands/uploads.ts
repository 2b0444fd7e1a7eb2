/** `wps uploads show|accept`. */
import { object } from "@optique/core/constructs";
import { message } from "@optique/core/message";
import { optional } from "@optique/core/modifiers";
import { argument, option } from "@optique/core/primitives";
import { integer, string } from "@optique/core/valueparser";
import type { JobReceipt } from "../../api/schemas/jobs.ts";
import type { AcceptRequest, RefusedUploadsList } from "../../api/schemas/uploads.ts";
import { branch, type CommandParser, permitArgument, serviceCommand, switchOption } from "../args.ts";
import { segment } from "../client.ts";
import { followJob } from "../follow.ts";
import { jobHeadLines } from "../render/job.ts";
import { refusedLines } from "../render/uploads.ts";

const show = serviceCommand(
  {
    name: "show",
    brief: "Uploads that wait for somebody's decision",
    description:
      "Links, pipes, sockets and devices among a holder's uploads are never copied. While there are any, the uploads " +
      "stay as they are and the permit waits. Shows how many, the first of them, and the command that leaves exactly " +
      "these out. Works from the database when the service is down.",
    examples: [["wps uploads show permit-001", "what is refused, and what was accepted"]],
  },
  object({ permit: permitArgument() }),
  async ({ permit }, common, context) => {
    const client = context.surroundings.connect(common);
    const { items } = await client.get<RefusedUploadsList>(`/permits/${segment(permit)}/uploads`);
    return context.show(common.json, items, (uploads) => refusedLines(permit, uploads, context));
  },
);

const accept = serviceCommand(
  {
    name: "accept",
    brief: "Leave exactly these entries out of the copy, for good",
    description:
      "Agrees, with your name in the audit, that the entries of this list are not copied and go with the uploads. The " +
      "consolidation begins at once; should it find any other list, it copies nothing and the permit waits again. The " +
      "manifest beside the copies names what was left out. Needs the running service.",
    examples: [["wps uploads accept permit-001 hospital-a --list 9f86d0…", "as wps uploads show prints it"]],
  },
  object({
    permit: permitArgument(),
    holder: argument(string({ metavar: "HOLDER" }), { description: message`The data holder's id` }),
    list: option("--list", string({ metavar: "HASH" }), {
      description: message`The list's SHA-256, as wps uploads show prints it`,
    }),
    batch: optional(option("--batch", integer({ min: 1, metavar: "N" }), {
      description: message`Which ingress, where several have the same list`,
    })),
    follow: switchOption(["-f", "--follow"], "Watch the job, to its end"),
  }),
  async ({ permit, holder, list, batch, follow }, common, context) => {
    const client = context.surroundings.connect(common);
    const order: AcceptRequest = { list, batch };
    const { job } = await client.post<JobReceipt>(
      `/permits/${segment(permit)}/uploads/${segment(holder)}/accept`,
      new TextEncoder().encode(JSON.stringify(order)),
      "application/json",
    );
    if (follow) return await followJob(client, job.id, common.json, context);
    return context.show(common.json, job, (view) => jobHeadLines(view, context));
  },
);

/** See the file. */
export const command: CommandParser = branch(
  {
    name: "uploads",
    brief: "Uploads with entries that are never copied: show, accept",
    description: "What of a holder's uploads is neither file nor folder, and the decision to leave it out.",
  },
  show,
  accept,
);
