import { deploymentsForTags, type TaggedDeployment } from '../../domain/routing/tag-filter.ts';

/** Bounds the remembered answers: tags and user agents come from clients. */
const MAX_REMEMBERED = 256;

/** Which deployments of one group serve requests with which tags. Answers are remembered: clients repeat themselves. */
export class GroupTags {
  readonly #members: readonly TaggedDeployment[];
  readonly #mode: 'any' | 'all';
  /** A deployment is found by its clients' `User-Agent`. */
  readonly readsUserAgent: boolean;
  readonly #answers = new Map<string, Uint8Array | null>();

  constructor(members: readonly TaggedDeployment[], mode: 'any' | 'all') {
    this.#members = members;
    this.#mode = mode;
    this.readsUserAgent = members.some(({ patterns }) => patterns.length > 0);
  }

  /** 1 by place for each deployment that may serve it; null if none may. */
  allowed(tags: readonly string[], userAgent: string | null): Uint8Array | null {
    const agent = this.readsUserAgent ? userAgent : null;
    const key = tags.length === 0 && agent === null ? '' : `${agent ?? ''}\n${tags.join('\n')}`;
    const known = this.#answers.get(key);
    if (known !== undefined) return known;
    const answer = deploymentsForTags(this.#members, { tags, userAgent: agent }, this.#mode);
    if (this.#answers.size >= MAX_REMEMBERED) this.#answers.clear();
    this.#answers.set(key, answer);
    return answer;
  }
}
