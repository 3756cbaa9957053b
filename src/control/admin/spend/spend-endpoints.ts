import type { AdminEndpoint } from '../endpoint.ts';
import { ACTIVITY_ENDPOINTS } from './activity-endpoints.ts';
import { dailyActivityEndpoint } from './daily-activity-endpoint.ts';
import { GLOBAL_SPEND_ENDPOINTS } from './global-spend-endpoints.ts';
import { spendLogsEndpoint } from './spend-logs-endpoint.ts';

/** What was spent, in LiteLLM's shapes. */
export const SPEND_ENDPOINTS: readonly AdminEndpoint[] = [
  spendLogsEndpoint,
  dailyActivityEndpoint,
  ...GLOBAL_SPEND_ENDPOINTS,
  ...ACTIVITY_ENDPOINTS,
];
