/** `wps jobs list|show|retry|cancel`. */
import { object } from "@optique/core/constructs";
import { choice, string } from "@optique/core/valueparser";
import type { JobDetail, JobReceipt, JobView } from "../../api/schemas/jobs.ts";
import { JOB_KINDS, JOB_STATES } from "../../core/job.ts";
import {
  branch,
  choiceOption,
  type CommandParser,
  limitOption,
  numberArgument,
  serviceCommand,
  switchOption,
} from "../args.ts";
import { followJob } from "../follow.ts";
import { listAll, moreText } from "../paging.ts";
import { jobHeadLines, jobLines, jobListLines } from "../render/job.ts";

const ID = "The job's number, as wps jobs list shows it";
const follow = switchOption(["-f", "--follow"], "Watch it live, to its end");

const list = serviceCommand(
  {
    name: "list",
    brief: "Jobs, newest first",
    description: "Lists jobs with their progress. Works from the database when the service is down.",
    examples: [
      ["wps jobs list --state failed", "what needs somebody"],
      ["wps jobs list --permit permit-001", "one permit's"],
    ],
  },
  object({
    permitId: choiceOption("--permit", string({ metavar: "PERMIT" }), "Only jobs of this permit"),
    state: choiceOption("--state", choice(JOB_STATES, { metavar: "STATE" }), "Only jobs in this state"),
    kind: choiceOption("--kind", choice(JOB_KINDS, { metavar: "KIND" }), "Only jobs of this kind"),
    limit: limitOption(),
  }),
  async ({ limit, ...filters }, common, context) => {
    const client = context.surroundings.connect(common);
    const jobs = await listAll<JobView>(client, "/jobs", filters, limit);
    const more = moreText(jobs);
    if (more !== null) context.note(more);
    return context.show(common.json, jobs.items, (items) => jobListLines(items, context));
  },
);

const show = serviceCommand(
  {
    name: "show",
    brief: "One job with its steps, or live with --follow",
    description:
      "Shows a job and each of its steps. With --follow it shows progress as it happens and ends with " +
      "the job: 0 when it succeeded, 1 otherwise; --json then prints one change a line. Works from the database " +
      "when the service is down, except --follow.",
    examples: [
      ["wps jobs show 41", "as it is now"],
      ["wps jobs show 41 --follow", "until it ends"],
    ],
  },
  object({ id: numberArgument("ID", ID), follow }),
  async ({ id, follow }, common, context) => {
    const client = context.surroundings.connect(common);
    if (follow) return await followJob(client, id, common.json, context);
    const job = await client.get<JobDetail>(`/jobs/${id}`);
    return context.show(common.json, job, (view) => jobLines(view, context));
  },
);

/** `retry` and `cancel` differ by word only. */
function order(name: "retry" | "cancel", brief: string, description: string, purpose: string): CommandParser {
  return serviceCommand(
    {
      name,
      brief,
      description: `${description} Needs the running service.`,
      examples: [[`wps jobs ${name} 41`, purpose]],
    },
    object({ id: numberArgument("ID", ID), follow }),
    async ({ id, follow }, common, context) => {
      const client = context.surroundings.connect(common);
      const { job } = await client.post<JobReceipt>(`/jobs/${id}/${name}`);
      if (follow) return await followJob(client, job.id, common.json, context);
      return context.show(common.json, job, (view) => jobHeadLines(view, context));
    },
  );
}

/** See the file. */
export const command: CommandParser = branch(
  {
    name: "jobs",
    brief: "What is being done and what was: list, show, retry, cancel",
    description: "A job observes a permit, plans, and applies the plan step by step.",
  },
  list,
  show,
  order(
    "retry",
    "Run a waiting job now, or a failed one again",
    "A job that waits for its next attempt runs at once; for a failed one a new job is made.",
    "do not wait for the backoff",
  ),
  order(
    "cancel",
    "Stop a job at its next step boundary",
    "A queued job is cancelled at once, a running one at its next step boundary. It stays so until the next event, " +
      "wps jobs retry or wps drift --repair. A halt, a deletion and a repair that only takes access away go on.",
    "stop what it is doing",
  ),
);
