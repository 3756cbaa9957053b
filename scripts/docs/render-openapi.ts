import { ADMIN_ENDPOINTS } from '../../src/control/admin/endpoints.ts';
import { openApiDocument } from '../../src/control/admin/openapi-document.ts';

/** docs/openapi.json: what GET /openapi.json answers. */
export function renderOpenApi(): string {
  return `${JSON.stringify(openApiDocument(ADMIN_ENDPOINTS), null, 1)}\n`;
}
