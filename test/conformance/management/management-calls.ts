/** One call as a script makes it. `{name}` stands for what an earlier reply held. */
export interface ManagementCall {
  readonly name: string;
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly body?: Readonly<Record<string, unknown>>;
  /** Default: the master key. */
  readonly key?: string;
  /** Default: 200. */
  readonly status?: number;
  /** In fields.json. */
  readonly shape: string;
  /** Values that must stand in the reply, by path with points. */
  readonly holds?: Readonly<Record<string, unknown>>;
  /** Kept for later calls: name → path in the reply. */
  readonly keep?: Readonly<Record<string, string>>;
}

const get = (name: string, path: string, shape: string, rest: Partial<ManagementCall> = {}): ManagementCall => ({
  name,
  method: 'GET',
  path,
  shape,
  ...rest,
});
const post = (
  name: string,
  path: string,
  body: Readonly<Record<string, unknown>>,
  rest: Partial<ManagementCall> & { readonly shape: string },
): ManagementCall => ({ name, method: 'POST', path, body, ...rest });

const refused = (status: number): Pick<ManagementCall, 'status' | 'shape'> => ({ status, shape: 'error' });

/** In this order, against one gateway; written from LiteLLM's documentation of its management API. */
export const MANAGEMENT_CALLS: readonly ManagementCall[] = [
  // Teams and users, to which keys then belong.
  post(
    'team/new',
    '/team/new',
    {
      team_alias: 'research',
      team_id: 'team-1',
      models: ['gpt', 'claude-*'],
      tpm_limit: 100_000,
      rpm_limit: 600,
      max_budget: 25.5,
      soft_budget: 20,
      budget_duration: '30d',
      metadata: { cost_center: 'cc-7' },
      model_aliases: { fast: 'gpt' },
      tags: ['science'],
      model_rpm_limit: { gpt: 10 },
      members_with_roles: [{ role: 'admin', user_id: 'lead' }],
    },
    {
      shape: 'team',
      holds: {
        team_id: 'team-1',
        max_budget: 25.5,
        soft_budget: 20,
        models: ['gpt', 'claude-*'],
        'metadata.cost_center': 'cc-7',
        'metadata.tags': ['science'],
        members: ['lead'],
        'litellm_model_table.model_aliases': { fast: 'gpt' },
      },
    },
  ),
  post('team/new with no id', '/team/new', { team_alias: 'ops' }, { shape: 'team', keep: { ops: 'team_id' } }),
  post('team/new twice', '/team/new', { team_id: 'team-1' }, refused(400)),
  get('team/info', '/team/info?team_id=team-1', 'teamInfo', { holds: { 'team_info.team_alias': 'research' } }),
  get('team/info of none', '/team/info?team_id=nowhere', 'error', { status: 404 }),
  post(
    'team/update',
    '/team/update',
    { team_id: 'team-1', max_budget: 30, blocked: false, metadata: { cost_center: 'cc-8' } },
    {
      shape: 'updatedTeam',
      holds: { 'data.max_budget': 30, 'data.tpm_limit': 100_000, 'data.metadata.cost_center': 'cc-8' },
    },
  ),
  post(
    'team/update that clears',
    '/team/update',
    { team_id: 'team-1', budget_duration: null, soft_budget: null },
    { shape: 'updatedTeam', holds: { 'data.budget_duration': null, 'data.soft_budget': null, 'data.max_budget': 30 } },
  ),
  post('team/update of none', '/team/update', { team_id: 'nowhere', models: [] }, refused(404)),
  get('team/list', '/team/list', 'teamList'),
  get('team/list of a user', '/team/list?user_id=lead', 'teamList', { holds: { '0.team_id': 'team-1', length: 1 } }),
  get('v2/team/list', '/v2/team/list?page=1&page_size=1', 'teamPage', { holds: { total: 2, total_pages: 2 } }),
  post(
    'user/new',
    '/user/new',
    {
      user_id: 'ada',
      user_email: 'ada@example.com',
      user_alias: 'Ada',
      user_role: 'internal_user',
      max_budget: 10,
      budget_duration: '1mo',
      models: ['gpt'],
      tpm_limit: 5000,
      rpm_limit: 50,
      max_parallel_requests: 4,
      metadata: { desk: 4 },
      teams: ['team-1'],
    },
    { shape: 'newUser', holds: { user_id: 'ada', teams: ['team-1'], 'metadata.desk': 4 }, keep: { adaKey: 'key' } },
  ),
  post(
    'user/new without a key',
    '/user/new',
    { user_id: 'bob', auto_create_key: false },
    { shape: 'newUserWithoutKey', holds: { key: null } },
  ),
  post('user/new twice', '/user/new', { user_id: 'ada' }, refused(409)),
  post('user/new in no team', '/user/new', { user_id: 'eve', teams: ['nowhere'] }, refused(404)),
  get('user/info', '/user/info?user_id=ada', 'userInfo', {
    holds: { 'user_info.user_email': 'ada@example.com', 'keys.length': 1, 'teams.0.team_id': 'team-1' },
  }),
  get('user/info with the user’s own key', '/user/info', 'userInfo', { key: '{adaKey}', holds: { user_id: 'ada' } }),
  get('user/info of another', '/user/info?user_id=bob', 'error', { key: '{adaKey}', status: 404 }),
  post(
    'user/update',
    '/user/update',
    { user_id: 'ada', max_budget: 12.25, user_alias: null },
    { shape: 'userUpdated', holds: { 'data.max_budget': 12.25, 'data.user_alias': null, 'data.rpm_limit': 50 } },
  ),
  post('user/update of none', '/user/update', { user_id: 'nobody' }, refused(404)),
  get('user/list', '/user/list?page=1&page_size=2&sort_by=user_id&sort_order=asc', 'userPage', {
    holds: { 'users.0.user_id': 'ada', total: 3, total_pages: 2 },
  }),
  get('user/list by part of an address', '/user/list?user_email=ADA%40', 'userPage', { holds: { total: 1 } }),
  // Keys.
  post(
    'key/generate with everything',
    '/key/generate',
    {
      key_alias: 'everything',
      duration: '30d',
      models: ['gpt'],
      aliases: { quick: 'gpt' },
      max_budget: 1.5,
      soft_budget: 1,
      budget_duration: '24h',
      user_id: 'ada',
      team_id: 'team-1',
      max_parallel_requests: 3,
      tpm_limit: 1000,
      rpm_limit: 10,
      model_max_budget: { gpt: { budget_limit: 0.5, time_period: '1d' } },
      model_rpm_limit: { gpt: 5 },
      model_tpm_limit: { gpt: 500 },
      metadata: { app: 'notebook', deep: { list: [1, 2] } },
      tags: ['prod'],
      allowed_routes: ['llm_api_routes'],
      blocked: false,
      permissions: { a: true },
      config: { b: 1 },
      guardrails: ['pii'],
    },
    {
      shape: 'generatedKey',
      holds: {
        key_alias: 'everything',
        max_budget: 1.5,
        'aliases.quick': 'gpt',
        'metadata.app': 'notebook',
        'metadata.deep.list': [1, 2],
        'metadata.tags': ['prod'],
        'metadata.model_rpm_limit': { gpt: 5 },
        model_tpm_limit: { gpt: 500 },
        tags: ['prod'],
        guardrails: ['pii'],
        allowed_routes: ['llm_api_routes'],
        permissions: { a: true },
        team_id: 'team-1',
        duration: '30d',
        spend: 0,
      },
      keep: { key: 'key', hash: 'token' },
    },
  ),
  post(
    'key/generate with nothing',
    '/key/generate',
    {},
    {
      shape: 'generatedKey',
      holds: { models: [], max_budget: null, expires: null, blocked: false },
      keep: { plain: 'key', plainHash: 'token_id' },
    },
  ),
  post(
    'key/generate of one’s own text',
    '/key/generate',
    { key: 'sk-chosen-by-hand-0123456789' },
    { shape: 'generatedKey', holds: { key: 'sk-chosen-by-hand-0123456789', key_name: 'sk-...6789' } },
  ),
  post('key/generate of the same text', '/key/generate', { key: 'sk-chosen-by-hand-0123456789' }, refused(400)),
  post('key/generate with an alias that is taken', '/key/generate', { key_alias: 'everything' }, refused(400)),
  post('key/generate in no team', '/key/generate', { team_id: 'nowhere' }, refused(404)),
  post('key/generate with a budget below nothing', '/key/generate', { max_budget: -1 }, refused(400)),
  post('key/generate with a duration that is none', '/key/generate', { duration: 'soon' }, refused(400)),
  post('key/generate with text for a list', '/key/generate', { models: 'gpt' }, refused(400)),
  post(
    'key/generate of a type',
    '/key/generate',
    { key_type: 'read_only', user_id: 'bob', max_budget: 0 },
    { shape: 'generatedKey', holds: { allowed_routes: ['info_routes'], max_budget: 0 }, keep: { reader: 'key' } },
  ),
  get('key/info by key', '/key/info?key={key}', 'keyInfo', { holds: { key: '{key}', 'info.key_alias': 'everything' } }),
  get('key/info by hash', '/key/info?key={hash}', 'keyInfo', { holds: { key: '{hash}', 'info.user_id': 'ada' } }),
  get('key/info of one’s own', '/key/info', 'keyInfo', { key: '{reader}', holds: { 'info.user_id': 'bob' } }),
  get('key/info of another', '/key/info?key={hash}', 'error', { key: '{reader}', status: 404 }),
  get('key/info of none', '/key/info?key=sk-nowhere', 'error', { status: 404 }),
  post(
    'key/update',
    '/key/update',
    { key: '{key}', max_budget: 2, metadata: { app: 'batch' }, models: ['gpt', 'claude-1'] },
    {
      shape: 'updatedKey',
      holds: { key: '{key}', max_budget: 2, 'metadata.app': 'batch', models: ['gpt', 'claude-1'], rpm_limit: 10 },
    },
  ),
  post(
    'key/update by hash, that clears',
    '/key/update',
    { key: '{hash}', rpm_limit: null, duration: null, tags: null },
    { shape: 'updatedKey', holds: { rpm_limit: null, expires: null, tags: null, tpm_limit: 1000 } },
  ),
  post('key/update of none', '/key/update', { key: 'sk-nowhere' }, refused(404)),
  post(
    'key/update of what the file declares',
    '/key/update',
    { key: 'sk-in-the-file-0123456789', models: [] },
    refused(400),
  ),
  post(
    'key/update without the right',
    '/key/update',
    { key: '{key}', max_budget: 9 },
    { ...refused(403), key: '{adaKey}' },
  ),
  post('key/block', '/key/block', { key: '{plain}' }, { shape: 'keyWithToken', holds: { blocked: true } }),
  get('with a blocked key', '/key/info', 'error', { key: '{plain}', status: 401 }),
  post('key/unblock', '/key/unblock', { key: '{plainHash}' }, { shape: 'keyWithToken', holds: { blocked: false } }),
  get('key/list', '/key/list', 'keyHashes', { holds: { current_page: 1, total_count: 5 } }),
  get('key/list of rows', '/key/list?return_full_object=true&size=2&page=2', 'keyObjects', {
    holds: { 'keys.length': 2, total_pages: 3 },
  }),
  get('key/list of a team', '/key/list?team_id=team-1&return_full_object=true', 'keyObjects', {
    holds: { total_count: 1, 'keys.0.key_alias': 'everything' },
  }),
  get('key/list of a user, sorted', '/key/list?user_id=ada&sort_by=spend&sort_order=asc', 'keyHashes', {
    holds: { total_count: 2 },
  }),
  get('key/list with a user’s key', '/key/list', 'keyHashes', { key: '{adaKey}', holds: { total_count: 2 } }),
  get('key/list of a page that is none', '/key/list?page=0', 'error', { status: 400 }),
  post(
    'key/{key}/regenerate',
    '/key/{plainHash}/regenerate',
    { max_budget: 3 },
    { shape: 'generatedKey', holds: { max_budget: 3, rotation_count: 1 }, keep: { renewed: 'key' } },
  ),
  post(
    'key/regenerate with a grace period',
    '/key/regenerate',
    { key: '{renewed}', grace_period: '1h' },
    { shape: 'generatedKey', holds: { max_budget: 3, rotation_count: 2 } },
  ),
  get('with the old key in its grace period', '/key/info', 'keyInfo', { key: '{renewed}' }),
  // Members.
  post(
    'team/member_add',
    '/team/member_add',
    { team_id: 'team-1', member: { role: 'user', user_email: 'new@example.com' }, max_budget_in_team: 5 },
    { shape: 'memberAdded', holds: { 'updated_team_memberships.0.litellm_budget_table.max_budget': 5 } },
  ),
  post(
    'team/member_update',
    '/team/member_update',
    { team_id: 'team-1', user_id: 'ada', max_budget_in_team: 7.5, rpm_limit: 3, role: 'admin' },
    { shape: 'memberUpdated', holds: { user_id: 'ada', max_budget_in_team: 7.5, rpm_limit: 3, tpm_limit: null } },
  ),
  post('team/block', '/team/block', { team_id: 'team-1' }, { shape: 'team', holds: { blocked: true } }),
  get('with a key of a blocked team', '/key/info', 'error', { key: '{key}', status: 401 }),
  post('team/unblock', '/team/unblock', { team_id: 'team-1' }, { shape: 'team', holds: { blocked: false } }),
  post('team/member_add twice', '/team/member_add', { team_id: 'team-1', member: { user_id: 'ada' } }, refused(400)),
  post(
    'team/member_delete',
    '/team/member_delete',
    { team_id: 'team-1', user_email: 'new@example.com' },
    { shape: 'team', holds: { members: ['lead', 'ada'] } },
  ),
  post('team/member_delete of none', '/team/member_delete', { team_id: 'team-1', user_id: 'bob' }, refused(404)),
  // Models, audit.
  get('model/info', '/model/info', 'modelInfo', { holds: { 'data.length': 2 } }),
  get('model/info with a key', '/v1/model/info', 'modelInfo', {
    key: '{adaKey}',
    holds: { 'data.0.model_name': 'gpt', 'data.length': 1 },
  }),
  get('audit', '/audit?page_size=5', 'auditPage', { holds: { 'audit_logs.length': 5 } }),
  get('audit of a key', '/audit?object_id={hash}&sort_order=asc', 'auditPage', {
    holds: { total: 3, 'audit_logs.0.action': 'created', 'audit_logs.1.updated_values.max_budget_nano': '2000000000' },
  }),
  get('audit without the right', '/audit', 'error', { key: '{adaKey}', status: 403 }),
  // The end of everything.
  post(
    'key/delete by alias',
    '/key/delete',
    { key_aliases: ['everything'] },
    {
      shape: 'deletedKeys',
      holds: { deleted_keys: ['everything'] },
    },
  ),
  post('key/delete of none', '/key/delete', { keys: ['sk-nowhere'] }, refused(404)),
  post('team/delete', '/team/delete', { team_ids: ['team-1', '{ops}'] }, { shape: 'deletedTeams' }),
  post('user/delete', '/user/delete', { user_ids: ['ada', 'bob'] }, { shape: 'deletedUsers' }),
  get('with a key of a user that is gone', '/key/info', 'error', { key: '{adaKey}', status: 401 }),
];
