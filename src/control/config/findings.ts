/** Where something stands in a configuration file; lines and columns count from 1. */
export interface Position {
  readonly file: string;
  readonly line: number;
  readonly column: number;
}

/** `unsupported` asks for something this version does not do; `ignored` asks for something that needs no doing here. */
export type WarningKind = 'unsupported' | 'ignored' | 'unknown' | 'other';

/** One thing to tell the operator. `message` never holds a value from the file: it could be a secret. */
export interface Finding {
  readonly severity: 'error' | 'warning';
  readonly kind: WarningKind;
  readonly position: Position | null;
  /** Dotted path of the setting, or empty. */
  readonly path: string;
  readonly message: string;
}

/** Gathers what is wrong or worth saying while a configuration is read, in the order found. */
export class Findings {
  readonly #list: Finding[] = [];
  readonly #said = new Set<string>();

  error(position: Position | null, path: string, message: string): void {
    this.#add({ severity: 'error', kind: 'other', position, path, message });
  }

  warn(position: Position | null, path: string, message: string, kind: WarningKind = 'other'): void {
    this.#add({ severity: 'warning', kind, position, path, message });
  }

  /** Once: several settings may take the same value of the file, each with the same fault. */
  #add(finding: Finding): void {
    const text = `${finding.severity} ${formatFinding(finding)}`;
    if (this.#said.has(text)) return;
    this.#said.add(text);
    this.#list.push(finding);
  }

  get all(): readonly Finding[] {
    return this.#list;
  }

  get errors(): readonly Finding[] {
    return this.#list.filter((finding) => finding.severity === 'error');
  }

  get warnings(): readonly Finding[] {
    return this.#list.filter((finding) => finding.severity === 'warning');
  }
}

/** `config.yaml:12:5: model_list[0].model_name: is missing` */
export function formatFinding(finding: Finding): string {
  const { position, path, message } = finding;
  const where = position === null ? '' : `${position.file}:${position.line}:${position.column}: `;
  return where + (path === '' ? message : `${path}: ${message}`);
}

/** The configuration can't be used. `lines` are clear to the operator, name file and position, and hold no secrets. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly lines: readonly string[];

  constructor(lines: readonly string[]) {
    super(lines.join('\n'));
    this.lines = lines;
  }
}
