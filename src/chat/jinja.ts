import * as jinja from '@huggingface/jinja';

/** A part of a template. */
export interface Statement {
  readonly type: string;
}

/** A whole template, or a part that consists of others. */
export interface Program extends Statement {
  body: Statement[];
}

/** A value that a template works with. */
export interface RuntimeValue {
  readonly value: unknown;
}

/** The variables of a template. */
export interface Scope {
  set(name: string, value: unknown): unknown;
}

/** Evaluates templates. */
interface TemplateInterpreter {
  run(template: Program): RuntimeValue;
  /** Evaluates a part of a template. Calls itself for the parts of the part. */
  evaluate(part: Statement | undefined, scope: Scope): RuntimeValue;
}

interface Jinja {
  readonly Environment: new (parent?: Scope) => Scope;
  readonly Interpreter: new (scope: Scope) => TemplateInterpreter;
  tokenize(template: string, options: { readonly lstrip_blocks: boolean; readonly trim_blocks: boolean }): unknown[];
  parse(tokens: unknown[]): Program;
}

/** What is used of `@huggingface/jinja`. Its own declarations import files in a way that TypeScript does not resolve for Node.js. */
export const { Environment, Interpreter, tokenize, parse }: Jinja = jinja;
