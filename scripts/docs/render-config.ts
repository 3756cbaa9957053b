import type { z } from 'zod';
import { teamSchema, userSchema, virtualKeySchema } from '../../src/control/config/keys-schema.ts';
import { listenerSchema } from '../../src/control/config/listener-schema.ts';
import { LITELLM_KEYS, LITELLM_SECTIONS } from '../../src/control/config/litellm-keys.ts';
import {
  litellmParamsSchema,
  modelEntrySchema,
  modelInfoSchema,
  ROUTING_KEYS,
} from '../../src/control/config/litellm-schema.ts';
import { environmentName, SETTING_LEAVES } from '../../src/control/config/resolve-settings.ts';
import { metaOf, type SettingMeta } from '../../src/control/config/setting-registry.ts';
import { PROVIDERS, UNSUPPORTED_PROVIDERS } from '../../src/domain/providers/catalogue.ts';
import { code, generatedNotice, markdownTable } from './markdown.ts';

/** docs/config.md */
export function renderConfig(): string {
  return `${generatedNotice('the schemas in src/control/config/')}

# Configuration

Slipstream reads LiteLLM's \`config.yaml\`, with a section \`slipstream:\` of its own. \`slipstream check --config FILE\` says
of each value where it comes from, and of each key whether it is honoured, ignored or unsupported.

- Precedence: flag, environment, \`slipstream:\`, LiteLLM's sections, default. Router keys may stand in \`router_settings\`
  or \`litellm_settings\`; \`router_settings\` wins.
- \`os.environ/NAME\` as a whole value is taken from the environment; \`environment_variables\` are set over it first.
- The file is read as PyYAML reads it: \`yes\`, \`no\`, \`on\`, \`off\` are booleans, \`<<\` merges, \`null\` is as good as absent,
  of a key that stands twice the last one counts. Numbers may be written as texts.
- \`include\` names further files: their lists are appended, their other values replace.
- Unknown keys are an error under \`slipstream:\` and a warning elsewhere.
- The file is watched, and read again on SIGHUP. One that has errors is not used: the old one stays in force, the reason
  is in the log and in GET /slipstream/status.

## Settings

Under \`slipstream:\`, a point standing for a level. Every one can also be set by its variable: ${code(
    environmentName(['limits', 'max_headers']),
  )} for ${code('limits.max_headers')}.

${settingsTable()}

## Listeners

### \`slipstream.listen\`

A list; each entry an address, or a map. Read at start only; see [listeners.md](listeners.md).

${schemaTable(listenerSchema.out)}

## Virtual keys

### \`slipstream.keys\`

${schemaTable(virtualKeySchema)}

### \`slipstream.users\`

${schemaTable(userSchema)}

### \`slipstream.teams\`

${schemaTable(teamSchema)}

A key may use the models it lists, at most those of its team; without a team at most those of its user.

## Models

### \`model_list\`

${schemaTable(modelEntrySchema)}

### \`model_list[].litellm_params\`

${schemaTable(litellmParamsSchema)}

### \`model_list[].model_info\`

Shown by GET /model/info, besides:

${schemaTable(modelInfoSchema)}

### Routing

In \`router_settings\` or \`litellm_settings\`:

${markdownTable(
  ['Key', 'Meaning'],
  Object.entries(ROUTING_KEYS).map(([key, meaning]) => [code(key), meaning]),
)}

## Providers

\`provider/model\` with one of these works; an \`api_base\` replaces the address. A prefix that is none is taken as part of
the model's name where \`api_base\` is given, and the deployment is sent there as OpenAI's protocol.

${providersTable()}

Known and not supported yet, so that their deployments are left out with a warning: ${[...UNSUPPORTED_PROVIDERS]
    .toSorted()
    .map(code)
    .join(', ')}.

## Keys of LiteLLM that are not honoured

Each gives one warning. \`ignored\`: nothing is lost. \`unsupported\`: what it asks for is not done.

${notHonoured()}
`;
}

function settingsTable(): string {
  return markdownTable(
    ['Setting', 'Default', 'Unit', 'Meaning', 'Also from'],
    SETTING_LEAVES.map(({ path, meta }) => [
      code(path.join('.')),
      defaultText(meta),
      meta.unit ?? '',
      meta.description,
      [...(meta.env ?? []), ...(meta.litellm ?? [])].map(code).join(', '),
    ]),
  );
}

function schemaTable(schema: z.ZodObject): string {
  const rows = Object.entries(schema.shape).flatMap(([key, child]) => {
    const meta = metaOf(child);
    return meta === undefined ? [] : [[code(key), defaultText(meta), meta.unit ?? '', meta.description]];
  });
  return markdownTable(['Key', 'Default', 'Unit', 'Meaning'], rows);
}

function defaultText(meta: SettingMeta): string {
  if (meta.defaultNote !== undefined) return meta.defaultNote;
  if (meta.follows !== undefined) return code(meta.follows);
  return meta.default === null ? 'none' : code(meta.default);
}

function providersTable(): string {
  const rows = [...PROVIDERS].map(([name, spec]) => [
    code(name),
    spec.family,
    spec.baseUrl === null ? '`api_base` is needed' : code(spec.baseUrl + spec.pathWhenBare),
    spec.keyEnv.map(code).join(', '),
  ]);
  return markdownTable(['Provider', 'Protocol', 'Address', 'Key from'], rows);
}

function notHonoured(): string {
  return LITELLM_SECTIONS.map((section) => {
    const rows = [...LITELLM_KEYS[section]].map(([key, { status, note }]) => [code(key), status, note]);
    return `### ${section === '' ? 'Top level' : code(section)}\n\n${markdownTable(['Key', 'Status', 'Why'], rows)}`;
  }).join('\n\n');
}
