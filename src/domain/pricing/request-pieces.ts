import type { EndpointName } from '../endpoints.ts';

/** What a request asks for by the piece. */
export interface RequestPieces {
  readonly characters: number;
  readonly images: number;
}

/** Does a request of this kind ask for anything by the piece? */
export function hasPieces(endpoint: EndpointName): boolean {
  return endpoint === 'audio_speech' || endpoint === 'images_generations';
}

/**
 * Counts what a provider charges by the piece: the text to be spoken, by Unicode characters, and the images asked for.
 *
 * @param body of the request, parsed; undefined if that was not possible.
 * @returns null for requests that ask for neither.
 */
export function requestPieces(endpoint: EndpointName, body: unknown): RequestPieces | null {
  if (typeof body !== 'object' || body === null) return null;
  const { input, n } = body as { readonly input?: unknown; readonly n?: unknown };
  if (endpoint === 'audio_speech')
    return { characters: typeof input === 'string' ? charactersOf(input) : 0, images: 0 };
  if (endpoint !== 'images_generations') return null;
  return { characters: 0, images: typeof n === 'number' && Number.isSafeInteger(n) && n > 0 ? n : 1 };
}

function charactersOf(text: string): number {
  let count = 0;
  for (const _character of text) count += 1;
  return count;
}
