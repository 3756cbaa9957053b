import { setting } from './setting-registry.ts';
import { choice, integer, seconds, text } from './value-schemas.ts';

/** Of `slipstream:`, as all settings: where keys, teams, users and what they used are kept. */
export const databaseSettings = {
  database_url: setting(text(), {
    description:
      'PostgreSQL, `postgresql://user:password@host:port/database`; its schema `slipstream` is used, nothing else is ' +
      'touched. Without it: SQLite, in the data directory. Read at start only.',
    default: null,
    env: ['DATABASE_URL'],
    litellm: ['general_settings.database_url'],
    isSecret: true,
  }),
  database_connections: setting(integer(2, 1000), {
    description: 'Most connections of this gateway to PostgreSQL. Read at start only.',
    default: '10',
    litellm: ['general_settings.database_connection_pool_limit'],
  }),
  database_connection_timeout: setting(seconds(), {
    description: 'How long connecting to PostgreSQL may take, or waiting for a free connection. Read at start only.',
    unit: 'seconds',
    default: '10',
    litellm: ['general_settings.database_connection_timeout'],
  }),
  litellm_database: setting(choice(['off', 'read']), {
    description:
      "`read`: keys that stand in LiteLLM's own tables, in the schema `public` of `database_url`, work too, with their " +
      'models, limits, team and user. They are looked up when they are used first; nothing is written there. Read at ' +
      'start only.',
    default: 'off',
  }),
  max_resident_keys: setting(integer(0, 10_000_000), {
    description:
      'So many virtual keys the sidecar holds in memory (those of this file always). Of more it asks for those that ' +
      'are used, which needs the control plane at the first use of each. Read at start only.',
    default: '100000',
  }),
};
