import { nodeAt } from './config-node.ts';
import { type Environment, loadConfigSource } from './config-source.ts';
import { Findings } from './findings.ts';

/** What the supervisor needs to know before there is a control plane; null = the file does not say. */
export interface StartSettings {
  readonly sidecar: boolean | null;
  readonly host: string | null;
  readonly port: number | null;
}

/**
 * `sidecar`, `host` and `port` of the file's section `slipstream:`; flags and environment win over them, which is the
 * caller's part. What is wrong with the file is not said here: the control plane reads all of it and says so.
 */
export function readStartSettings(configPath: string, environment: Environment): StartSettings {
  const { root } = loadConfigSource(configPath, environment, new Findings());
  const textAt = (key: string): string | null => {
    const node = nodeAt(root, ['slipstream', key]);
    return node?.kind === 'scalar' ? node.text : null;
  };
  const sidecar = nodeAt(root, ['slipstream', 'sidecar']);
  const port = Number(textAt('port') ?? Number.NaN);
  return {
    sidecar: sidecar?.kind === 'scalar' && typeof sidecar.value === 'boolean' ? sidecar.value : null,
    host: textAt('host'),
    port: Number.isInteger(port) && port >= 0 && port <= 65_535 ? port : null,
  };
}
