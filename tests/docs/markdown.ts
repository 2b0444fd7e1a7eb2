/** Markdown as far as these documents use it: fenced blocks, code in a sentence, links, headings. */

/** A fenced block. `line` is that of its first line of text, counted from 1. */
export interface Block {
  language: string;
  /** The words after the language, e.g. ["event", "routing-key=permit.deleted"]. */
  tags: string[];
  text: string;
  line: number;
}

/** Code within a sentence, with the sentence's line for its context. */
export interface Span {
  code: string;
  around: string;
  line: number;
}

/** A link; `target` as it is written. */
export interface Link {
  target: string;
  line: number;
}

/** One document. */
export interface Document {
  path: string;
  blocks: Block[];
  spans: Span[];
  links: Link[];
  /** As GitHub makes anchors of headings. */
  anchors: Set<string>;
}

/** Reads a document. Throws when a block is never closed. */
export function readMarkdown(path: string, text: string): Document {
  const document: Document = { path, blocks: [], spans: [], links: [], anchors: new Set() };
  let open: Block | null = null;
  for (const [index, line] of text.split("\n").entries()) {
    const fence = /^```(\S*) ?(.*)$/.exec(line);
    if (fence !== null && open === null) {
      const tags = (fence[2] ?? "").split(" ").filter((word) => word !== "");
      open = { language: fence[1] ?? "", tags, text: "", line: index + 2 };
    } else if (open !== null && line === "```") {
      document.blocks.push(open);
      open = null;
    } else if (open !== null) open.text += `${line}\n`;
    else readProse(document, line, index + 1);
  }
  if (open !== null) throw new Error(`${path}:${open.line}: this block is never closed`);
  return document;
}

function readProse(document: Document, text: string, line: number): void {
  const heading = /^#+ (.+)$/.exec(text)?.[1];
  if (heading !== undefined) {
    document.anchors.add(heading.toLowerCase().replaceAll(/[^\w\s-]/g, "").replaceAll(/\s/g, "-"));
  }
  for (const [, code = ""] of text.matchAll(/`([^`]+)`/g)) document.spans.push({ code, around: text, line });
  for (const [, target = ""] of text.matchAll(/\]\(([^()\s]+)\)/g)) document.links.push({ target, line });
}
