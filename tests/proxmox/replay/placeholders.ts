/** Placeholders of recordings: put values in, and find out whether an answer has the same in the same places. */

/** What a task id names, beside the id itself. */
export interface RecordedTask {
  type: string;
  id: string;
  user: string;
}

/** How each kind looks. Kinds with a number are the same value wherever they have the same number. */
const KINDS: Readonly<Record<string, string>> = {
  digest: "[0-9a-f]{40}",
  int: "\\d+",
  mac: "(?:[0-9A-Fa-f]{2}:){5}[0-9A-Fa-f]{2}",
  num: "-?\\d+(?:\\.\\d+)?",
  passwordhash: "\\$[0-9a-z]+\\$\\S+",
  pid: "\\d+",
  secret: "\\S+",
  storepath: "/[^'\\s]+",
  text: "[^]*",
  time: "\\d{10}",
  upid: 'UPID:[^\\s"]+:',
  uuid: "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
};

const PLACEHOLDER = /\{\{([a-z]+)(?::([\w]+))?(?::(\d+))?\}\}/g;
/** Stand for a JSON number; `{{#vmid:a}}` besides, which is a number that is known. */
const NUMBERS = new Set(["{{#int}}", "{{#num}}", "{{#time}}"]);

/** What the placeholders of one flow stand for, as far as that is known. */
export class Bindings {
  readonly #values: Map<string, string>;
  readonly #tasks: Readonly<Record<string, RecordedTask>>;

  constructor(tasks: Readonly<Record<string, RecordedTask>>, known: Iterable<[string, string]>) {
    this.#tasks = tasks;
    this.#values = new Map(known);
  }

  /** A copy that can be thrown away. */
  copy(): Bindings {
    return new Bindings(this.#tasks, this.#values);
  }

  /** Takes over what a copy has found. */
  adopt(other: Bindings): void {
    for (const [name, value] of other.#values) this.#values.set(name, value);
  }

  /** A recorded text with values for its placeholders; one that is not known yet is given by `invent`. */
  fill(text: string, invent: (kind: string) => string): string {
    return text.replace(PLACEHOLDER, (whole: string, kind: string, name?: string, count?: string) => {
      if (kind === "repeat") return (name ?? "").repeat(Number(count));
      const key = name === undefined ? whole : `${kind}:${name}`;
      const value = this.#values.get(key) ?? invent(kind);
      this.#values.set(key, value);
      return value;
    });
  }

  /** Whether a number is the one that a placeholder like `{{#vmid:a}}` or `{{#int}}` stands for. */
  matchesNumber(placeholder: string, actual: unknown): boolean {
    if (typeof actual !== "number") return false;
    if (NUMBERS.has(placeholder)) return placeholder === "{{#num}}" || Number.isInteger(actual);
    const name = /^\{\{#(\w+:\w+)\}\}$/.exec(placeholder)?.[1];
    return name !== undefined && this.#values.get(name) === `${actual}`;
  }

  /** Whether a text is the recorded one; what its placeholders stand for is remembered when it is. */
  matchesText(template: string, actual: string): boolean {
    const names: string[] = [];
    let at = 0;
    let pattern = "";
    for (const match of template.matchAll(PLACEHOLDER)) {
      const [whole, kind = "", name, count] = match;
      pattern += literal(template.slice(at, match.index));
      at = match.index + whole.length;
      const key = name === undefined ? undefined : `${kind}:${name}`;
      const known = key === undefined ? this.#values.get(whole) : this.#values.get(key);
      if (kind === "repeat") pattern += literal((name ?? "").repeat(Number(count)));
      else if (known !== undefined) pattern += kind === "mac" ? anyCase(known) : literal(known);
      else pattern += `(${KINDS[kind] ?? "[^]*"})`;
      if (kind !== "repeat" && known === undefined) names.push(key ?? "");
    }
    const found = new RegExp(`^${pattern}${literal(template.slice(at))}$`).exec(actual);
    if (found === null) return false;
    return names.every((name, index) => name === "" || this.#bind(name, found[index + 1] ?? ""));
  }

  /** Another value under another name, and for a task the recorded type, id and user. */
  #bind(name: string, value: string): boolean {
    const known = this.#values.get(name);
    if (known !== undefined) return known === value;
    const [kind = "", number = ""] = name.split(":");
    for (const [other, taken] of this.#values) {
      if (other.startsWith(`${kind}:`) && taken.toLowerCase() === value.toLowerCase()) return false;
    }
    if (kind === "upid" && !this.#isTask(number, value)) return false;
    this.#values.set(name, value);
    return true;
  }

  #isTask(number: string, upid: string): boolean {
    const task = this.#tasks[number];
    const [, type, id, user] =
      /^UPID:[^:]+:[0-9A-F]{8}:[0-9A-F]{8,9}:[0-9A-F]{8}:([^:]+):([^:]*):([^:]+):$/.exec(upid) ?? [];
    return task !== undefined && type === task.type && user === task.user &&
      id === this.fill(task.id, () => "");
  }
}

function literal(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
}

function anyCase(text: string): string {
  return [...text].map((character) => {
    return /[a-f]/i.test(character)
      ? `[${character.toLowerCase()}${character.toUpperCase()}]`
      : literal(character);
  }).join("");
}
