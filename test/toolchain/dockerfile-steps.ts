import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { run } from './clean-checkout.ts';

/** Where the image keeps the program. */
export const IMAGE_FOLDER = '/opt/slipstream';

/** What deploy/Dockerfile says, so that a test can do the same without Docker. */
interface Dockerfile {
  readonly buildSteps: readonly { readonly instruction: string; readonly text: string }[];
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly healthCheck: readonly string[];
}

export function readDockerfile(file: string): Dockerfile {
  const lines = readFileSync(file, 'utf8')
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter((line) => line.trim() !== '');
  const steps = lines.map((line) => {
    const [instruction = '', ...rest] = line.split(' ');
    return { instruction, text: rest.join(' ').trim() };
  });
  const secondStage = steps.findLastIndex(({ instruction }) => instruction === 'FROM');
  const jsonOf = (wanted: string): string[] => {
    const text = steps.findLast(({ instruction }) => instruction === wanted)?.text ?? '';
    return JSON.parse(text.slice(text.indexOf('['))) as string[];
  };
  return {
    buildSteps: steps.slice(0, secondStage),
    entrypoint: jsonOf('ENTRYPOINT'),
    command: jsonOf('CMD'),
    healthCheck: jsonOf('HEALTHCHECK'),
  };
}

/** Does the COPY and RUN steps of the build stage; what apt-get installs is taken from this machine. */
export function runBuildSteps(dockerfile: Dockerfile, checkout: string, target: string): void {
  mkdirSync(target, { recursive: true });
  for (const { instruction, text } of dockerfile.buildSteps) {
    if (instruction === 'COPY') copy(text.split(/\s+/), checkout, target);
    else if (instruction === 'RUN' && !text.startsWith('apt-get')) run(['sh', '-c', text], { cwd: target });
  }
}

function copy(paths: readonly string[], checkout: string, target: string): void {
  const destination = paths.at(-1) ?? '.';
  const isFolder = destination.endsWith('/');
  for (const source of paths.slice(0, -1)) {
    const to = isFolder ? join(destination, basename(source)) : destination;
    cpSync(join(checkout, source), resolve(target, to), { recursive: true });
  }
}
