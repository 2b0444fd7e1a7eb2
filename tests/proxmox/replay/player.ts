/** Plays a recorded flow against a double. */
import { FakeClock } from "../../fake_clock.ts";
import { SeededRandom } from "../../seeded_random.ts";
import { DoubleClient, requestOf, settle } from "../client.ts";
import { ProxmoxDouble } from "../double.ts";
import { NoGuest } from "../guest/guest.ts";
import type { ApiMethod } from "../schema/schema.ts";
import { RECORDED_TOKENS, recordedSite } from "../recorded_site.ts";
import type { ApiReply } from "../wire/reply.ts";
import type { ApiRequest } from "../wire/request.ts";
import { compareReply } from "./compare.ts";
import { Bindings } from "./placeholders.ts";
import type { Exchange, Flow } from "./recordings.ts";
import { SCENES, type Stage } from "./scenes.ts";

/** An exchange and what differs; nothing when the double answered the same. */
export interface Played {
  flow: string;
  index: number;
  exchange: Exchange;
  differences: string[];
}

/** From one request to the next. */
const PACE_MS = 30;
/** Between two looks at a task. */
const POLL_MS = 100;
/** Looks at a task before it counts as hanging: ten minutes. */
const POLLS_MAX = 6_000;
/** An answer "after about n s" may have come this much earlier or later. */
const ABOUT = 0.2;
/** Ids of VMs are drawn by a client; these are far from the template's. */
const FIRST_ID = 40_000;

/** What the notes say of credentials that are wrong. */
const BAD_CREDENTIALS: ReadonlyArray<[RegExp, string]> = [
  [/wrong secret/, "PVEAPIToken=prov@pve!t0=00000000-0000-4000-8000-000000000000"],
  [/no such token id/, "PVEAPIToken=prov@pve!nope=00000000-0000-4000-8000-000000000000"],
  [/no such user/, "PVEAPIToken=nobody@pve!t0=00000000-0000-4000-8000-000000000000"],
  [/without = value/, "PVEAPIToken=prov@pve!t0"],
  [/Bearer scheme/, "Bearer 00000000-0000-4000-8000-000000000000"],
];

/** A value for a placeholder that a request is the first to have. */
const INVENTED: Readonly<Record<string, string>> = {
  mac: "BC:24:11:AB:CD:EF",
  secret: "correct horse battery staple",
};

/** By `as`; "none" and "bad" have none. */
const TOKENS = new Map<string, string>(Object.entries(RECORDED_TOKENS));

function vmidOf(letter: string): number {
  return FIRST_ID + letter.charCodeAt(0) - "a".charCodeAt(0);
}

/** One flow on a fresh double. */
class Play {
  readonly #flow: Flow;
  readonly #stage: Stage;
  readonly #bindings: Bindings;

  constructor(flow: Flow, schema: readonly ApiMethod[]) {
    this.#flow = flow;
    const clock = new FakeClock();
    const double = new ProxmoxDouble({
      clock,
      random: new SeededRandom(flow.flow),
      site: recordedSite(),
      guests: () => new NoGuest(),
      schema,
    });
    const [broad, root] = [RECORDED_TOKENS.broad, RECORDED_TOKENS.root];
    const clientOf = (token: string): DoubleClient => new DoubleClient(double, clock, token);
    this.#stage = { double, clock, broad: clientOf(broad), root: clientOf(root), vmid: vmidOf };
    const letters = [..."abcdefghijklmnopqrstuvwxyz"].map((letter): [string, string] => {
      return [`vmid:${letter}`, `${vmidOf(letter)}`];
    });
    this.#bindings = new Bindings(flow.upids, [...letters, ["{{storepath}}", "/srv/vmstore"]]);
  }

  async run(look: ((stage: Stage) => void) | undefined): Promise<Played[]> {
    const scene = SCENES[this.#flow.flow] ?? {};
    await scene.prepare?.(this.#stage);
    const played: Played[] = [];
    const together = new Map(await this.#sendTogether(scene.together ?? []));
    for (const [index, exchange] of this.#flow.exchanges.entries()) {
      await scene.before?.[index]?.(this.#stage);
      const differences = together.get(index) ?? await this.#play(exchange);
      played.push({ flow: this.#flow.flow, index, exchange, differences });
      if (!together.has(index)) await this.#stage.clock.advance(PACE_MS);
    }
    look?.(this.#stage);
    await this.#stage.double.close();
    return played;
  }

  /** Sends requests that are under way at once, each at its own time. */
  async #sendTogether(
    arrivals: ReadonlyArray<{ index: number; arrivedMs: number }>,
  ): Promise<Array<[number, string[]]>> {
    const { clock, double } = this.#stage;
    const begunMs = clock.now();
    const replies: Array<Promise<[Exchange, number, ApiReply]>> = [];
    for (const { index, arrivedMs } of arrivals) {
      const exchange = this.#flow.exchanges[index];
      if (exchange === undefined) throw new Error(`${this.#flow.flow} has no exchange ${index}`);
      await clock.advance(begunMs + arrivedMs - clock.now());
      replies.push(double.handle(this.#request(exchange)).then((reply) => [exchange, index, reply]));
    }
    const answered = await settle(clock, Promise.all(replies));
    return answered.map(([exchange, index, reply]) => [index, compareReply(exchange, reply, this.#bindings)]);
  }

  async #play(exchange: Exchange): Promise<string[]> {
    const { clock } = this.#stage;
    const begunMs = clock.now();
    const reply = isEndOfTask(exchange) ? await this.#poll(exchange) : await this.#send(exchange);
    const differences = compareReply(exchange, reply, this.#bindings);
    const aboutS = Number(/answered after about (\d+) s/.exec(exchange.note ?? "")?.[1] ?? NaN);
    const tookS = (clock.now() - begunMs) / 1000;
    if (Math.abs(tookS - aboutS) > aboutS * ABOUT) {
      differences.push(`time: recorded about ${aboutS} s, took ${tookS} s`);
    }
    return differences;
  }

  async #send(exchange: Exchange): Promise<ApiReply> {
    return await settle(this.#stage.clock, this.#stage.double.handle(this.#request(exchange)));
  }

  /** Of many looks at a task only the first that said running and the last one were kept: this is the last one. */
  async #poll(exchange: Exchange): Promise<ApiReply> {
    for (let polls = 0; polls < POLLS_MAX; polls++) {
      const reply = await this.#send(exchange);
      if (!/"status":"running"/.test(reply.body)) return reply;
      await this.#stage.clock.advance(POLL_MS);
    }
    throw new Error(`${exchange.path} does not end`);
  }

  #request({ method, path, body, as, encoding, note = "" }: Exchange): ApiRequest {
    const fill = (text: string): string => this.#bindings.fill(text, (kind) => INVENTED[kind] ?? "");
    const filled = body === undefined ? undefined : Object.fromEntries(
      Object.entries(body).map(([name, value]) => [name, typeof value === "string" ? fill(value) : value]),
    );
    const request = requestOf(method, fill(path), filled, TOKENS.get(as), encoding);
    const bad = BAD_CREDENTIALS.find(([words]) => as === "bad" && words.test(note))?.[1];
    if (bad !== undefined) request.headers = { ...request.headers, authorization: bad };
    // The recordings keep the type of a body only when it is JSON.
    if (note === "unknown content type") {
      request.headers = { ...request.headers, "content-type": "text/plain" };
    }
    return request;
  }
}

function isEndOfTask({ method, path, response }: Exchange): boolean {
  return method === "GET" && /\/tasks\/[^/]+\/status$/.test(path) &&
    JSON.stringify(response).includes('"stopped"');
}

/** Plays a flow and compares each of its exchanges; `look` sees what it has left behind. */
export async function playFlow(
  flow: Flow,
  schema: readonly ApiMethod[],
  look?: (stage: Stage) => void,
): Promise<Played[]> {
  return await new Play(flow, schema).run(look);
}
