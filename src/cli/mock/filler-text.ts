const WORDS =
  'the gateway reads each request once and passes the bytes on without changing what it does not have to know '.split(
    ' ',
  );

/** One word and a space per token: about what a provider's tokens look like. */
function tokenText(index: number): string {
  return `${WORDS[index % (WORDS.length - 1)]} `;
}

/** Plain ASCII text of an exact length. */
export function fillerText(bytes: number): string {
  const line = WORDS.join(' ');
  return line.repeat(Math.ceil(bytes / line.length)).slice(0, Math.max(0, bytes));
}

/** The pieces of a reply's text, one per token; with `replyBytes` all together that long (at least one byte each). */
export function tokenTexts(tokens: number, replyBytes: number): string[] {
  const texts: string[] = [];
  if (replyBytes === 0) {
    for (let i = 0; i < tokens; i++) texts.push(tokenText(i));
    return texts;
  }
  const total = Math.max(tokens, replyBytes);
  const text = fillerText(total);
  for (let i = 0; i < tokens; i++) {
    texts.push(text.slice(Math.floor((i * total) / tokens), Math.floor(((i + 1) * total) / tokens)));
  }
  return texts;
}
