/** What a source file imports and uses, read from its syntax tree. */
export interface Syntax {
  /** Module specifiers of static, type-only and dynamic imports and re-exports, as written. */
  imports: string[];
  /** Names used as values or types that a member access does not qualify: `Deno` in `Deno.env`, not in `x.Deno`. */
  names: Set<string>;
  /** Member accesses by name: `Date.now`, `Math.random`; a computed one with a literal counts too. */
  members: Set<string>;
  /** Properties and methods accessed on whatever object: `localeCompare`. */
  properties: Set<string>;
  /** `import.meta` and dynamic imports, as written. */
  dynamic: string[];
  /** `new Date()` or `Date()` without a time. */
  asksForNow: boolean;
  /** Globals handed on as a whole or accessed by a computed name: `const { now } = Date`. */
  takesApart: Set<string>;
}

/** Appended to each file: if it is not seen, the walk ended early and nothing it says can be trusted. */
const END = "theWalkReachedTheEnd";

type Node = Deno.lint.Node;

/**
 * Reads one file's syntax. Comments and texts cannot confuse it, because the parser is the compiler's.
 * Works only inside a test (`Deno.lint.runPlugin`). Throws an Error when the file was not read whole.
 */
export function readSyntax(file: string, source: string): Syntax {
  const syntax: Syntax = {
    imports: [],
    names: new Set(),
    members: new Set(),
    properties: new Set(),
    dynamic: [],
    asksForNow: false,
    takesApart: new Set(),
  };
  const plugin: Deno.lint.Plugin = {
    name: "architecture",
    rules: { read: { create: (context) => visitor(syntax, (node) => context.sourceCode.getText(node)) } },
  };
  // The walk of Deno 2.9 ends at an empty statement; the formatter removes those, unless it is told not to.
  if (/deno-fmt-ignore/.test(source)) throw new Error(`${file}: deno-fmt-ignore hides code from this test`);
  const problems = Deno.lint.runPlugin(plugin, file, `${source}\nexport const ${END} = 0;\n`);
  if (!syntax.names.delete(END)) {
    throw new Error(`${file}: only a part of the file was read ${JSON.stringify(problems)}`);
  }
  return syntax;
}

function visitor(syntax: Syntax, textOf: (node: Node) => string): Deno.lint.LintVisitor {
  return {
    ImportDeclaration: (node) => void syntax.imports.push(node.source.value),
    ExportAllDeclaration: (node) => void syntax.imports.push(node.source.value),
    ExportNamedDeclaration: (node) => {
      if (node.source) syntax.imports.push(node.source.value);
    },
    TSImportType: (node) =>
      void syntax.imports.push(/\(\s*["'`]([^"'`]+)/.exec(textOf(node))?.[1] ?? textOf(node)),
    TSImportEqualsDeclaration: (node) => void syntax.dynamic.push(textOf(node)),
    ImportExpression: (node) => {
      const source = node.source;
      if (source.type === "Literal" && typeof source.value === "string") syntax.imports.push(source.value);
      syntax.dynamic.push(textOf(node));
    },
    MetaProperty: (node) => void syntax.dynamic.push(textOf(node)),
    MemberExpression: (node) => readMember(syntax, node),
    NewExpression: (node) => {
      if (isDate(node.callee) && node.arguments.length === 0) syntax.asksForNow = true;
    },
    CallExpression: (node) => {
      if (isDate(node.callee)) syntax.asksForNow = true; // Date(x) ignores x and answers with now
    },
    Identifier: (node) => {
      if (isOnlyAKey(node)) return;
      syntax.names.add(node.name);
      if (!isPlainUse(node)) syntax.takesApart.add(node.name);
    },
  };
}

function readMember(syntax: Syntax, node: Deno.lint.MemberExpression): void {
  const { object, property } = node;
  let name: string | undefined;
  if (!node.computed && property.type === "Identifier") name = property.name;
  if (node.computed && property.type === "Literal") name = String(property.value);
  if (name === undefined) return;
  syntax.properties.add(name);
  if (object.type === "Identifier") syntax.members.add(`${object.name}.${name}`);
}

function isDate(node: Node): boolean {
  return node.type === "Identifier" && node.name === "Date";
}

/** Whether an identifier is a type, is called, or is the object of an access whose name can be read here. */
function isPlainUse(node: Deno.lint.Identifier): boolean {
  const parent = node.parent;
  switch (parent.type) {
    case "MemberExpression":
      return !parent.computed || parent.property.type === "Literal";
    case "BinaryExpression":
      return parent.operator === "instanceof";
    case "NewExpression":
    case "CallExpression":
      return parent.callee.range[0] === node.range[0];
    default:
      return parent.type.startsWith("TSType") || parent.type === "TSQualifiedName";
  }
}

/** Whether an identifier only names a property, so that it refers to nothing outside the file. */
function isOnlyAKey(node: Deno.lint.Identifier): boolean {
  const parent = node.parent;
  const samePlace = (other: Node | null | undefined): boolean => other?.range[0] === node.range[0];
  switch (parent.type) {
    case "MemberExpression":
      return !parent.computed && samePlace(parent.property);
    case "Property":
      return !parent.computed && !parent.shorthand && samePlace(parent.key);
    case "PropertyDefinition":
    case "MethodDefinition":
    case "TSPropertySignature":
    case "TSMethodSignature":
      return !parent.computed && samePlace(parent.key);
    case "TSQualifiedName":
      return samePlace(parent.right);
    case "TSEnumMember":
      return samePlace(parent.id);
    case "LabeledStatement":
    case "BreakStatement":
    case "ContinueStatement":
    case "ImportSpecifier":
    case "ExportSpecifier":
      return true;
    default:
      return false;
  }
}
