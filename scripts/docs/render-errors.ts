import { ERROR_TABLE, type ErrorSpec } from '../../src/domain/errors/error-table.ts';
import { code, generatedNotice, markdownTable } from './markdown.ts';

const SOURCES: Readonly<Record<ErrorSpec['source'], string>> = {
  downstream: 'client',
  upstream: 'provider',
  internal: 'gateway',
};
const RETRIES: Readonly<Record<ErrorSpec['retry'], string>> = {
  no: 'no',
  yes: 'yes',
  'if-reused': 'if the connection was reused',
};

/** docs/errors.md */
export function renderErrors(): string {
  const rows = Object.entries<ErrorSpec>(ERROR_TABLE).map(([name, spec]) => [
    code(name),
    String(spec.status),
    code(spec.openaiType),
    code(spec.anthropicType),
    SOURCES[spec.source],
    RETRIES[spec.retry],
    spec.closes ? 'yes' : 'no',
    spec.meaning,
  ]);
  return `${generatedNotice('src/domain/errors/error-table.ts')}

# Errors

Every refusal and failure that Slipstream itself can answer. The name stands in the header \`x-slipstream-error\`; it
keeps its meaning for good. A provider's own errors pass through unchanged, except that the text of a 401 or 403 is
withheld, for it can quote the gateway's credential.

The body has the form of the client's protocol. OpenAI's: \`{"error": {"message", "type", "param", "code"}}\`, where
\`code\` is the status as a text. Anthropic's, on \`/v1/messages\`: \`{"type": "error", "error": {"type", "message"}}\`.
The column "tried again" says whether another attempt is made before an answer has begun; "closes" whether the
connection is closed after the answer.

${markdownTable(
  ['Name', 'Status', 'OpenAI type', 'Anthropic type', 'Caused by', 'Tried again', 'Closes', 'Meaning'],
  rows,
)}
`;
}
