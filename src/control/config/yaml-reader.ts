import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
} from 'yaml';
import type { Pair, Scalar, YAMLError, YAMLMap } from 'yaml';
import type { ConfigNode, MapEntry, MapNode } from './config-node.ts';
import type { Findings, Position } from './findings.ts';
import { resolvePlainScalar } from './yaml-scalars.ts';

/** Our own sentences: the parser's can quote the text at fault, which can be a secret. */
const SYNTAX_ERRORS: Readonly<Record<YAMLError['code'], string>> = {
  ALIAS_PROPS: 'an alias can have no tag or anchor of its own',
  BAD_ALIAS: 'this alias has no anchor before it',
  BAD_COLLECTION_TYPE: 'the tag does not fit this collection',
  BAD_DIRECTIVE: 'unknown or malformed % directive',
  BAD_DQ_ESCAPE: 'unknown escape sequence in a double-quoted string',
  BAD_INDENT: 'wrong indentation, or a bracket that is not closed',
  BAD_PROP_ORDER: 'a tag or anchor stands in the wrong place',
  BAD_SCALAR_START: 'a plain value cannot start with this character: quote it',
  BLOCK_AS_IMPLICIT_KEY: 'a mapping inside a mapping on one line: is a quote or a line break missing?',
  BLOCK_IN_FLOW: 'a block collection cannot stand inside brackets',
  DUPLICATE_KEY: 'this key stands here twice',
  IMPOSSIBLE: 'this is not YAML',
  KEY_OVER_1024_CHARS: 'a key is longer than 1024 characters',
  MISSING_CHAR: 'a closing quote, bracket, comma, colon or space is missing',
  MULTILINE_IMPLICIT_KEY: 'a key must stand on one line: is a quote or a colon missing?',
  MULTIPLE_ANCHORS: 'a value can have one anchor',
  MULTIPLE_DOCS: 'the file holds more than one document (---)',
  MULTIPLE_TAGS: 'a value can have one tag',
  NON_STRING_KEY: 'a key must be a string',
  RESOURCE_EXHAUSTION: 'the document is too deeply nested, or its aliases expand too far',
  TAB_AS_INDENT: 'tabs cannot indent: use spaces',
  TAG_RESOLVE_FAILED: 'this tag is not supported',
  UNEXPECTED_TOKEN: 'this does not belong here',
};

/** `<<` of YAML 1.1: the keys of another map, under those that stand here. */
const MERGE_KEY = '<<';
const CORE_TAG = 'tag:yaml.org,2002:';
const MAX_DEPTH = 64;

/**
 * Reads one YAML document as PyYAML's `safe_load` would, keeping where each value stands. Syntax errors go to
 * `findings` as errors, a key that stands twice as a warning (the last one wins, as it does there).
 *
 * @returns null when there is no document, or it has errors.
 */
export function readYaml(text: string, file: string, findings: Findings): ConfigNode | null {
  const lines = new LineCounter();
  const document = parseDocument(text, {
    version: '1.1',
    schema: 'failsafe', // every plain scalar stays text; what it means is settled in yaml-scalars.ts
    uniqueKeys: false,
    prettyErrors: false, // they quote the line
    logLevel: 'error',
    lineCounter: lines,
  });
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { file, line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  for (const error of document.errors) findings.error(at(error.pos[0]), '', SYNTAX_ERRORS[error.code]);
  if (document.errors.length > 0 || document.contents === null) return null;
  const converter = new Converter(document, at, findings);
  const node = converter.convert(document.contents, 0);
  return converter.failed || (node.kind === 'scalar' && node.value === null) ? null : node;
}

class Converter {
  failed = false;
  readonly #document: Document;
  readonly #at: (offset: number) => Position;
  readonly #findings: Findings;
  /** Each node is converted once, so aliases share: a document of nested aliases can't grow. */
  readonly #done = new Map<Node, ConfigNode>();
  readonly #open = new Set<Node>();

  constructor(document: Document, at: (offset: number) => Position, findings: Findings) {
    this.#document = document;
    this.#at = at;
    this.#findings = findings;
  }

  convert(node: Node, depth: number): ConfigNode {
    const known = this.#done.get(node);
    if (known !== undefined) return known;
    const position = this.#at(node.range?.[0] ?? 0);
    if (this.#open.has(node)) return this.#fail(position, 'this alias contains itself');
    if (depth > MAX_DEPTH) return this.#fail(position, SYNTAX_ERRORS.RESOURCE_EXHAUSTION);
    this.#open.add(node);
    const converted = this.#convertNew(node, position, depth);
    this.#open.delete(node);
    this.#done.set(node, converted);
    return converted;
  }

  #convertNew(node: Node, position: Position, depth: number): ConfigNode {
    if (isAlias(node)) return this.#convertAlias(node, position, depth);
    if (isScalar(node)) return this.#convertScalar(node, position);
    if (node.tag !== undefined && node.tag !== `${CORE_TAG}map` && node.tag !== `${CORE_TAG}seq`) {
      return this.#fail(position, SYNTAX_ERRORS.TAG_RESOLVE_FAILED);
    }
    if (isSeq(node)) {
      const items = node.items.map((item) => this.convert(item as Node, depth + 1));
      return { kind: 'list', position, items };
    }
    return isMap(node) ? this.#convertMap(node, position, depth) : this.#fail(position, SYNTAX_ERRORS.IMPOSSIBLE);
  }

  #convertAlias(alias: Alias, position: Position, depth: number): ConfigNode {
    const target = alias.resolve(this.#document);
    if (target === undefined) return this.#fail(position, SYNTAX_ERRORS.BAD_ALIAS);
    return this.convert(target, depth + 1);
  }

  #convertScalar(scalar: Scalar, position: Position): ConfigNode {
    const text = textOf(scalar);
    switch (scalar.tag) {
      case undefined:
        return { kind: 'scalar', position, text, value: scalar.type === 'PLAIN' ? resolvePlainScalar(text) : text };
      case '!':
      case `${CORE_TAG}str`:
        return { kind: 'scalar', position, text, value: text };
      case `${CORE_TAG}int`:
      case `${CORE_TAG}float`:
      case `${CORE_TAG}bool`:
      case `${CORE_TAG}null`:
        return { kind: 'scalar', position, text, value: resolvePlainScalar(text) };
      default:
        return this.#fail(position, SYNTAX_ERRORS.TAG_RESOLVE_FAILED);
    }
  }

  #convertMap(map: YAMLMap, position: Position, depth: number): MapNode {
    const own = new Map<string, MapEntry>();
    const merged = new Map<string, MapEntry>();
    for (const pair of map.items as Pair<Node, Node | null>[]) {
      const keyPosition = this.#at(pair.key.range?.[0] ?? 0);
      if (!isScalar(pair.key)) {
        this.#fail(keyPosition, SYNTAX_ERRORS.NON_STRING_KEY);
        continue;
      }
      // A key stays as written: `on:` and `1:` mean the words, whatever PyYAML makes of them.
      const key = textOf(pair.key);
      const isMerge = key === MERGE_KEY && pair.key.type === 'PLAIN';
      const node = pair.value === null ? emptyScalar(keyPosition) : this.convert(pair.value, depth + 1);
      if (isMerge) {
        this.#merge(node, merged);
      } else {
        if (own.has(key)) {
          this.#findings.warn(keyPosition, key, `${SYNTAX_ERRORS.DUPLICATE_KEY}: the last one counts`);
        }
        own.set(key, { keyPosition, node });
      }
    }
    return { kind: 'map', position, entries: new Map([...merged, ...own]) };
  }

  /** Of several merged maps the first that has a key gives it. */
  #merge(node: ConfigNode, merged: Map<string, MapEntry>): void {
    for (const source of node.kind === 'list' ? node.items : [node]) {
      if (source.kind !== 'map') {
        this.#fail(source.position, 'only a map, or a list of maps, can be merged with <<');
        return;
      }
      for (const [key, entry] of source.entries) if (!merged.has(key)) merged.set(key, entry);
    }
  }

  #fail(position: Position, message: string): ConfigNode {
    this.failed = true;
    this.#findings.error(position, '', message);
    return emptyScalar(position);
  }
}

/** Under the failsafe schema every scalar is a string. */
function textOf(scalar: Scalar): string {
  return typeof scalar.value === 'string' ? scalar.value : '';
}

function emptyScalar(position: Position): ConfigNode {
  return { kind: 'scalar', position, value: null, text: '' };
}
