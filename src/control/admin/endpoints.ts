import { z } from 'zod';
import { auditEndpoint } from './audit/audit-endpoint.ts';
import { type AdminEndpoint, endpoint } from './endpoint.ts';
import { GATEWAY_ENDPOINTS } from './gateway-endpoints.ts';
import { KEY_ENDPOINTS } from './keys/key-endpoints.ts';
import { listKeysEndpoint } from './keys/list-keys-endpoint.ts';
import { regenerateKeyEndpoint } from './keys/regenerate-key-endpoint.ts';
import { openApiDocument } from './openapi-document.ts';
import { SPEND_ENDPOINTS } from './spend/spend-endpoints.ts';
import { LIST_TEAMS_ENDPOINTS } from './teams/list-teams-endpoints.ts';
import { MEMBER_ENDPOINTS } from './teams/member-endpoints.ts';
import { PERMISSION_ENDPOINTS } from './teams/permission-endpoints.ts';
import { TEAM_ENDPOINTS } from './teams/team-endpoints.ts';
import { listUsersEndpoint } from './users/list-users-endpoint.ts';
import { USER_ENDPOINTS } from './users/user-endpoints.ts';

const openApi = endpoint({
  method: 'GET',
  paths: ['/openapi.json'],
  tag: 'gateway',
  access: 'open',
  summary: 'This document.',
  reply: z.looseObject({}),
  handle: () => (document ??= openApiDocument(ADMIN_ENDPOINTS)),
});

/** Made when it is first asked for. */
let document: Record<string, unknown> | null = null;

/** The management API: every route of it, in the order of its documentation. */
export const ADMIN_ENDPOINTS: readonly AdminEndpoint[] = [
  ...SPEND_ENDPOINTS,
  ...KEY_ENDPOINTS,
  listKeysEndpoint,
  regenerateKeyEndpoint,
  ...TEAM_ENDPOINTS,
  ...LIST_TEAMS_ENDPOINTS,
  ...MEMBER_ENDPOINTS,
  ...PERMISSION_ENDPOINTS,
  ...USER_ENDPOINTS,
  listUsersEndpoint,
  ...GATEWAY_ENDPOINTS,
  auditEndpoint,
  openApi,
];
