import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DeploymentSpec } from '../../src/contract/snapshot.ts';
import { type CompiledConfig, compileConfig } from '../../src/control/config/compile-config.ts';
import { loadConfigSource } from '../../src/control/config/config-source.ts';
import { Findings, formatFinding } from '../../src/control/config/findings.ts';
import type { FlagValues } from '../../src/control/config/resolve-settings.ts';

export const MASTER_KEY = 'sk-master-0123456789abcdef';

/** A section that makes a configuration startable. */
export const GENERAL = `general_settings: {master_key: ${MASTER_KEY}}\n`;

export interface Compiled {
  readonly config: CompiledConfig;
  /** Without the folder of the file. */
  readonly errors: readonly string[];
  readonly warnings: readonly string[];
}

export interface CompileOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly flags?: FlagValues;
  /** Further files beside the main one, by name. */
  readonly files?: Readonly<Record<string, string>>;
}

/** Compiles a configuration as the control plane would, from a file `c.yaml`. */
export function compileYaml(text: string, options: CompileOptions = {}): Compiled {
  const directory = mkdtempSync(join(tmpdir(), 'config-'));
  try {
    writeFileSync(join(directory, 'c.yaml'), text);
    for (const [name, content] of Object.entries(options.files ?? {})) writeFileSync(join(directory, name), content);
    const findings = new Findings();
    const source = loadConfigSource(join(directory, 'c.yaml'), options.env ?? {}, findings);
    const config = compileConfig(source, options.flags ?? {}, 0, findings);
    const lines = (list: Findings['all']): string[] =>
      list.map((finding) => formatFinding(finding).replaceAll(`${directory}/`, ''));
    return { config, errors: lines(findings.errors), warnings: lines(findings.warnings) };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** The deployments that `entries` (YAML of a flow list) make, with no error or warning. */
export function deploymentsOf(entries: string, env: Readonly<Record<string, string>> = {}): readonly DeploymentSpec[] {
  const { config, errors, warnings } = compileYaml(`model_list: ${entries}\n${GENERAL}`, { env });
  if (errors.length + warnings.length > 0) throw new TypeError([...errors, ...warnings].join('\n'));
  return config.snapshot.deployments;
}

/** The one deployment of these `litellm_params`. */
export function deploymentOf(params: string, env: Readonly<Record<string, string>> = {}): DeploymentSpec {
  const [deployment] = deploymentsOf(`[{model_name: m, litellm_params: ${params}}]`, env);
  if (deployment === undefined) throw new TypeError('no deployment');
  return deployment;
}
