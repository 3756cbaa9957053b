import { asBytes, type Bytes } from '../../base/bytes.ts';
import { JsonReplyReader } from '../../domain/reply/json-reply-reader.ts';
import { StreamReplyReader } from '../../domain/reply/stream-reply-reader.ts';

/** Made once per connection and used for each of its requests: there is one at a time. */
export class ReplyReaders {
  #json: JsonReplyReader | null = null;
  #stream: StreamReplyReader | null = null;
  /** JSON source of the model named last on this connection: nearly always the same one. */
  #modelName = '';
  #modelSource: Bytes | null = null;

  json(): JsonReplyReader {
    this.#json ??= new JsonReplyReader();
    return this.#json;
  }

  stream(): StreamReplyReader {
    this.#stream ??= new StreamReplyReader();
    return this.#stream;
  }

  modelSource(model: string): Bytes {
    if (this.#modelSource === null || this.#modelName !== model) {
      this.#modelName = model;
      this.#modelSource = asBytes(Buffer.from(JSON.stringify(model), 'utf8'));
    }
    return this.#modelSource;
  }
}
