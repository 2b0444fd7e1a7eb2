/** Tells a program: one JSON object a line, each with its `record` (docs/demo.md). */
import type { Terminal } from "../terminal.ts";
import { jsonText } from "../text.ts";
import type { Narrator } from "./narrator.ts";

/** A narrator that writes JSON lines. */
export function recordNarrator(terminal: Terminal): Narrator {
  let act = 0;
  const tell = (record: string, members: object): void =>
    terminal.out(`${jsonText({ record, ...act === 0 ? {} : { act }, ...members }, 0)}\n`);
  return {
    begins: (permitId, acts) => tell("begin", { permitId, acts }),
    act(number, { title, story }): void {
      act = number;
      tell("act", { title, story });
    },
    verdict: (event, receipt) => tell("event", { event, receipt }),
    plan: (plan) => tell("plan", { plan }),
    job: ({ event, data }) =>
      tell(event === "step" ? "step" : "job", { [event === "step" ? "step" : "job"]: data }),
    exists: (exists) => tell("exists", { exists }),
    answers: (answers) => tell("answers", { ...answers }),
    checks: (checks) => tell("checks", { checks }),
    ends(ending): void {
      act = 0;
      tell("end", { ...ending, verified: ending.failed === 0 });
    },
    leaves: () => {},
  };
}
