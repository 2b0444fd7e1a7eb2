/** Reads what `iptables-save` and `ipset list` print, and follows a packet through the chains. */
import { isInNetwork } from "../state/addresses.ts";
import type { Packet } from "./packets.ts";

/** The chains of the filter table and the sets that they match against. */
export interface Chains {
  rules: Map<string, string[][]>;
  sets: Map<string, string[]>;
}

type Verdict = "ACCEPT" | "DROP" | undefined;

/** More rules than any packet meets. */
const RULES_MAX = 10_000;

/** The chains of one dump. */
export function readChains(dump: string, setList: string): Chains {
  const rules = new Map<string, string[][]>();
  for (const line of dump.split("\n")) {
    const [, chain, rest = ""] = /^-A (\S+) (.*)$/.exec(line) ?? [];
    if (chain === undefined) continue;
    const words = (rest.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replaceAll('"', ""));
    rules.set(chain, [...rules.get(chain) ?? [], words]);
  }
  const sets = setList.split("\n\n").map((text): [string, string[]] => {
    const name = /^Name: (\S+)$/m.exec(text)?.[1] ?? "";
    const members = text.split("Members:\n")[1] ?? "";
    return [name, members.split("\n").filter((member) => member !== "")];
  });
  return { rules, sets: new Map(sets) };
}

/** Whether a chain lets the first packet of a connection through; falling off its end does. */
export function passes(chains: Chains, chain: string, packet: Packet, mac: string): boolean {
  return new Walk(chains, packet, mac).follow(chain) !== "DROP";
}

class Walk {
  readonly #chains: Chains;
  readonly #packet: Packet;
  readonly #mac: string;
  #mark = 0;
  #left = RULES_MAX;

  constructor(chains: Chains, packet: Packet, mac: string) {
    this.#chains = chains;
    this.#packet = packet;
    this.#mac = mac;
  }

  follow(chain: string): Verdict {
    for (const rule of this.#chains.rules.get(chain) ?? []) {
      if (this.#left-- <= 0) throw new Error(`The packet meets more than ${RULES_MAX} rules`);
      if (!this.#matches(rule)) continue;
      const jump = rule.indexOf("-j");
      const go = rule.indexOf("-g");
      const target = rule[Math.max(jump, go) + 1];
      if (jump < 0 && go < 0 || target === undefined || target === "CONNMARK") continue;
      if (target === "ACCEPT" || target === "DROP") return target;
      if (target === "REJECT") return "DROP";
      if (target === "RETURN") return undefined;
      if (target === "MARK") {
        const [value = 0, mask = 0] = (rule[rule.indexOf("--set-xmark") + 1] ?? "").split("/").map(Number);
        this.#mark = ((this.#mark & ~mask) ^ value) >>> 0;
        continue;
      }
      const verdict = this.follow(target);
      if (verdict !== undefined || go >= 0) return verdict;
    }
    return undefined;
  }

  #matches(rule: string[]): boolean {
    for (let at = 0; at < rule.length; at++) {
      const isNegated = rule[at] === "!";
      if (isNegated) at++;
      const option = rule[at] ?? "";
      if (option === "-j" || option === "-g") return true;
      const value = rule[at + 1] ?? "";
      if (this.#match(option, value) === isNegated) return false;
      at += option === "--match-set" || option === "--tcp-flags" ? 2 : 1;
    }
    return true;
  }

  #match(option: string, value: string): boolean {
    const { protocol, source, destination, sourcePort, port, sourceMac = this.#mac } = this.#packet;
    switch (option) {
      case "-m":
      case "--comment":
        return true;
      case "-s":
        return isInNetwork(source, value);
      case "-d":
        return isInNetwork(destination, value);
      case "-p":
        return protocol === value;
      case "--dport":
      case "--dports":
        return isPort(value, port);
      case "--sport":
        return isPort(value, sourcePort);
      case "--mac-source":
        return sourceMac.toLowerCase() === value.toLowerCase();
      case "--match-set":
        return (this.#chains.sets.get(value) ?? []).some((member) => isInNetwork(source, member));
      case "--mark": {
        const [expected = 0, mask = 0] = value.split("/").map(Number);
        return ((this.#mark & mask) >>> 0) === expected;
      }
      case "--tcp-flags": // of a first packet only SYN is set
        return protocol === "tcp";
      case "--ctstate":
        return value.split(",").includes("NEW");
      case "--dst-type":
      case "--icmp-type":
        return false;
      default:
        throw new Error(`The match ${option} is not known`);
    }
  }
}

function isPort(ranges: string, port: number | undefined): boolean {
  return port !== undefined && ranges.split(",").some((range) => {
    const [from = NaN, to = from] = range.split(":").map(Number);
    return port >= from && port <= to;
  });
}
