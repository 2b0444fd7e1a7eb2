/** The parameters of one call after they were found right. */
import { splitList } from "./formats.ts";

/** Texts as the server keeps them; null is JSON's, which some calls complain of themselves. */
export type Value = string | string[] | null;

/** Reads parameters by what they are. Booleans are "1" and "0" here, whatever they were sent as. */
export class Values {
  readonly #values: ReadonlyMap<string, Value>;

  constructor(values: ReadonlyMap<string, Value>) {
    this.#values = values;
  }

  /** The names given, path parameters included. */
  keys(): string[] {
    return [...this.#values.keys()];
  }

  /** Whether it was given, be it as null. */
  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** Whether it was given as JSON's null. */
  isNull(name: string): boolean {
    return this.#values.get(name) === null;
  }

  /** Undefined when it was not given. */
  text(name: string): string | undefined {
    const value = this.#values.get(name);
    return typeof value === "string" ? value : undefined;
  }

  /** Of a parameter that the schema demands. */
  need(name: string): string {
    const value = this.text(name);
    if (value === undefined) throw new Error(`The schema does not demand ${name}`);
    return value;
  }

  /** False when it was not given. */
  flag(name: string): boolean {
    return this.text(name) === "1";
  }

  /** Undefined when it was not given. */
  number(name: string): number | undefined {
    const value = this.text(name);
    return value === undefined ? undefined : Number(value);
  }

  /** The elements of a list, however it was sent. */
  list(name: string): string[] {
    const value = this.#values.get(name);
    if (Array.isArray(value)) return value;
    return typeof value === "string" ? splitList(value) : [];
  }

  /** The elements of an array parameter, in which spaces and commas mean nothing. */
  items(name: string): string[] {
    const value = this.#values.get(name);
    if (Array.isArray(value)) return value;
    return typeof value === "string" ? [value] : [];
  }

  /** The VM that the path names. */
  get vmid(): number {
    return Number(this.need("vmid"));
  }

  /** The node that the path names. */
  get node(): string {
    return this.need("node");
  }
}
