/** What may go wrong around a request or inside a task, as a test orders it. */
import type { Task, TaskFault } from "./state/tasks.ts";
import { splitPath } from "./wire/request.ts";

/** Which requests a fault is for. */
export interface RequestMatch {
  method?: string;
  /** Matched against the path without prefix and query. */
  path?: RegExp;
}

/** Which tasks a fault is for. */
export interface TaskMatch {
  type?: string;
  /** What the task is filed under. */
  id?: string;
}

type RequestFault =
  | { kind: "act"; act: () => void | Promise<void> }
  | { kind: "lose request" }
  | { kind: "lose reply" };

interface Planned<Match, Fault> {
  match: Match;
  fault: Fault;
  left: number;
}

/** Faults that were ordered and are still to come. Each strikes once unless said otherwise. */
export class Faults {
  /** pvedaemon is down: whatever needs it is answered by 595 and an empty body. */
  isDaemonDown = false;
  /** What has struck, in its order: a test that ordered faults should see them here. */
  readonly struck: string[] = [];
  readonly #requests: Planned<RequestMatch, RequestFault>[] = [];
  readonly #tasks: Planned<TaskMatch, TaskFault>[] = [];

  /** Does something right before a request is looked at, as a second client would. */
  before(match: RequestMatch, act: () => void | Promise<void>, times = 1): void {
    this.#requests.push({ match, fault: { kind: "act", act }, left: times });
  }

  /** Closes the connection before the request has any effect. */
  loseRequest(match: RequestMatch, times = 1): void {
    this.#requests.push({ match, fault: { kind: "lose request" }, left: times });
  }

  /** Lets the request have its effect and closes the connection instead of answering. */
  loseReply(match: RequestMatch, times = 1): void {
    this.#requests.push({ match, fault: { kind: "lose reply" }, left: times });
  }

  /** Makes tasks fail that begin from now on. */
  failTask(match: TaskMatch, fault: TaskFault, times = 1): void {
    this.#tasks.push({ match, fault, left: times });
  }

  /** Does what was ordered before this request; tells whether the request or its reply is to be lost. */
  async strike(method: string, path: string): Promise<"request" | "reply" | undefined> {
    const { path: bare } = splitPath(path);
    let lost: "request" | "reply" | undefined;
    for (const planned of [...this.#requests]) {
      const { match, fault } = planned;
      const isMeant = (match.method ?? method) === method && match.path?.test(bare) !== false;
      if (!isMeant || planned.left <= 0) continue;
      planned.left--;
      this.struck.push(`${fault.kind}: ${method} ${bare}`);
      if (fault.kind === "act") await fault.act();
      else lost = fault.kind === "lose request" ? "request" : lost ?? "reply";
    }
    return lost;
  }

  /** The fault that was ordered for a task that begins. */
  ofTask({ type, id }: Task): TaskFault | undefined {
    const planned = this.#tasks.find(({ match, left }) => {
      return left > 0 && (match.type ?? type) === type && (match.id ?? id) === id;
    });
    if (planned === undefined) return undefined;
    planned.left--;
    this.struck.push(`task ${planned.fault.when}: ${type} ${id}`);
    return planned.fault;
  }
}
