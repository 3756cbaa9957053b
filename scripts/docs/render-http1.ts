import { DEFAULT_LIMITS, MAX_INTERIM_RESPONSES, MAX_METHOD_BYTES } from '../../src/http1/limits.ts';
import { REFUSALS } from '../../src/http1/refusals.ts';
import { code, generatedNotice, markdownTable } from './markdown.ts';

/** docs/http1.md */
export function renderHttp1(): string {
  const refusals = Object.entries(REFUSALS).map(([rule, { status, source, message }]) => [
    code(rule),
    String(status),
    source,
    message,
  ]);
  return `${generatedNotice('src/http1/refusals.ts and src/http1/limits.ts')}

# HTTP/1.1, read strictly

Two programs that find different ends in the same bytes are how requests are smuggled. So there is one reading here, for
clients' requests and for providers' replies, and what could be read in another way is refused: the client gets the
status below and the connection is closed; a refused reply is a 502, and its connection is closed too. Nothing is
repaired, and what says how a message is framed is never forwarded: it is written anew.

## What is accepted where others differ

| What | Why |
|---|---|
| HTTP/1.0, closed after the answer unless it asks for keep-alive; its Upgrade and \`100-continue\` are ignored | RFC 9112 §9.3, RFC 9110 §7.8, §10.1.1 |
| One empty line before a request | RFC 9112 §2.2: old clients send one behind a body |
| Any token as a method, up to ${MAX_METHOD_BYTES} bytes | RFC 9110 §9.1: which methods there are is the router's to say |
| \`http\` and \`https\` URIs as target; their path counts, their authority does not | RFC 9112 §3.2.2 |
| \`\`[ ] ^ \` { }\`\` and the vertical bar in targets, a backslash in queries | the WHATWG URL standard (browsers, fetch) leaves them bare |
| An empty Host | RFC 9112 §3.2: what a target without authority has |
| A body on any method | RFC 9110 §6.4: the method does not change framing |
| Bytes from 0x80 on in header values and reason phrases, passed on as they are | RFC 9110 §5.5: opaque data |
| Leading zeros in Content-Length and chunk sizes (up to 15 digits) | the grammar has them |
| Chunk extensions, whitespace inside them, trailers: checked, bounded, dropped | RFC 9112 §7.1 |
| A status line that ends behind the code, without a space | servers send it, and it means one thing |

## What is refused although the RFCs let it be read

| What | Why |
|---|---|
| HTTP/1.2 to 1.9 (RFC 9110 §2.5: read as 1.1) | they do not exist, and intermediaries differ |
| Whitespace between a chunk size and its extension (RFC 9110 §5.6.3: skipped) | padded sizes are where chunk readers differ |
| Repeated Content-Length with the same number (RFC 9112 §6.3: may be taken as one) | only a sender that is wrong, or lying, repeats it |
| Obsolete line folding, bare LF (RFC 9112 §5.2, §2.2: may be read) | the two oldest ways to hide a header |

Header names are tokens and targets are URIs, so both are ASCII: bytes from 0x80 on are refused there, as two readers may
decode, fold or strip them differently.

## Limits

| What | Limit |
|---|---|
| A head: start line, header lines, empty line | ${DEFAULT_LIMITS.maxHeadBytes} bytes |
| Header lines of a head, or of a trailer section | ${DEFAULT_LIMITS.maxHeaders} |
| One chunk extension | ${DEFAULT_LIMITS.maxChunkExtensionBytes} bytes |
| A trailer section | ${DEFAULT_LIMITS.maxTrailerBytes} bytes |
| Interim (1xx) replies before the final one | ${MAX_INTERIM_RESPONSES} |

## Refusals

${markdownTable(['Rule', 'Status', 'From', 'Message'], refusals)}
`;
}
