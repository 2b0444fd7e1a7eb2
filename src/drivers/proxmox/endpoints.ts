/**
 * The calls of the Proxmox VE API, typed by proxmox-api's model of it. Types only: its runtime sends a POST a second time
 * after a network error, and forgets the status of an answer (FACTS 4).
 */
import type { Proxmox } from "proxmox-api";

/** What a call does; Proxmox VE knows no other methods. */
export type Verb = "GET" | "POST" | "PUT" | "DELETE";

/** A call as the API's documentation names it, e.g. "POST /nodes/{node}/qemu/{vmid}/clone". */
export type Endpoint = `${Verb} /${string}`;

/**
 * Calls that change what was seen before: each carries the digest of it, so that a rival's change in between is an error
 * instead of being lost (invariant 9).
 */
export const SEEN_ENDPOINTS = [
  "PUT /nodes/{node}/qemu/{vmid}/config",
  "POST /nodes/{node}/qemu/{vmid}/config",
  "PUT /nodes/{node}/qemu/{vmid}/resize",
  "POST /nodes/{node}/qemu/{vmid}/move_disk",
  "PUT /nodes/{node}/qemu/{vmid}/firewall/options",
  "PUT /nodes/{node}/qemu/{vmid}/firewall/rules/{pos}",
  "DELETE /nodes/{node}/qemu/{vmid}/firewall/rules/{pos}",
] as const satisfies readonly Endpoint[];

type Step<Node, Segment> = Segment extends `{${string}}`
  ? Node extends { $(name: never): infer Next } ? Next : never
  : Segment extends keyof Node ? Node[Segment]
  : never;
type Walk<Node, Path> = Path extends `${infer Head}/${infer Rest}` ? Walk<Step<Node, Head>, Rest>
  : Step<Node, Path>;
type Operation<E> = E extends `${infer V extends Verb} /${infer Path}`
  ? Walk<Proxmox.Api, Path> extends infer Node
    ? `$${Lowercase<V>}` extends keyof Node ? Node[`$${Lowercase<V>}`] : never
  : never
  : never;

type Digit = "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9";
/** Directory mappings for a guest (Proxmox VE 8.4). */
type Virtiofs = { [K in `virtiofs${Digit}`]?: string };
/** What Proxmox VE 9.2 takes and proxmox-api's model does not have, as far as WPS may send it. */
interface Newer {
  "POST /nodes/{node}/qemu": Virtiofs;
  "PUT /nodes/{node}/qemu/{vmid}/config": Virtiofs;
  "POST /nodes/{node}/qemu/{vmid}/config": Virtiofs;
  "POST /nodes/{node}/qemu/{vmid}/status/stop": { "overrule-shutdown"?: boolean };
  "GET /cluster/mapping/dir": { "check-node"?: string };
}

type Added<E> = E extends keyof Newer ? Newer[E] : unknown;
type Known<E> = [Operation<E>] extends [never] ? E extends keyof Newer ? Newer[E] : never
  : Operation<E> extends (...given: infer Given) => unknown
    ? (Given extends [] ? Record<string, never> : NonNullable<Given[0]>) & Added<E>
  : never;
type Seen<E> = E extends typeof SEEN_ENDPOINTS[number] ? { digest: string } : unknown;

/** The parameters of a call; `never` for what the API does not have. Booleans are sent as 1 and 0. */
export type Params<E extends Endpoint> = Known<E> & Seen<E>;

type Names<Path> = Path extends `${string}{${infer Name}}${infer Rest}` ? Name | Names<Rest> : never;

/** What stands in the braces of a call's path. */
export type PathVariables<E extends Endpoint> = { [Name in Names<E>]: string | number };
