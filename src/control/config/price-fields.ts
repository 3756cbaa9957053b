import type { z } from 'zod';
import { setting } from './setting-registry.ts';
import { decimalText } from './value-schemas.ts';

type PriceField = z.ZodType<string | undefined>;

function price(what: string, unit: string): PriceField {
  return setting(decimalText().optional(), { description: what, unit: `US dollars per ${unit}`, default: null });
}

const perToken = (what: string): PriceField => price(what, 'token');

const INPUT = 'input token';
const OUTPUT = 'output token';
const READ = "input token read from the provider's prompt cache";
const WRITE = "input token written to the provider's prompt cache";

/** LiteLLM's prices of a deployment, in `litellm_params` (pricing/litellm-price.ts reads them). */
export const priceFields = {
  input_cost_per_token: perToken(`Price of an ${INPUT}.`),
  output_cost_per_token: perToken(`Price of an ${OUTPUT}.`),
  cache_read_input_token_cost: perToken(`Price of an ${READ}.`),
  cache_creation_input_token_cost: perToken(`Price of an ${WRITE}.`),
  cache_creation_input_token_cost_above_1hr: perToken(`Price of an ${WRITE}, kept for an hour.`),
  output_cost_per_reasoning_token: perToken('Price of a reasoning token.'),
  input_cost_per_audio_token: perToken('Price of an input token of sound.'),
  output_cost_per_audio_token: perToken('Price of an output token of sound.'),
  input_cost_per_image_token: perToken('Price of an input token of an image.'),
  output_cost_per_image_token: perToken('Price of an output token of an image.'),
  citation_cost_per_token: perToken('Price of a token of what a search has read, where the provider counts them.'),
  input_cost_per_token_cache_hit: perToken('The same as `cache_read_input_token_cost`.'),
  input_cost_per_request: price('Price of a call, beside its tokens.', 'request'),
  input_cost_per_query: price('The same, as rerankers have it.', 'request'),
  input_cost_per_second: price('Price of the time that a call takes.', 'second'),
  output_cost_per_second: price('The same, added to it.', 'second'),
  input_cost_per_character: price('Price of a character to be spoken.', 'character'),
  input_cost_per_image: price('Price of an image that is asked for.', 'image'),
  output_cost_per_image: price('The same, added to it.', 'image'),
  ...aboveFields('128k'),
  ...aboveFields('200k'),
  ...aboveFields('272k'),
  ...aboveFields('200k', 'priority'),
  ...aboveFields('272k', 'priority'),
  ...aboveFields('200k', 'flex'),
  ...aboveFields('272k', 'flex'),
  ...tierFields('batches', 'in a batch'),
  ...tierFields('flex', 'with `service_tier: flex`'),
  ...tierFields('priority', 'with `service_tier: priority`'),
};

type FieldsWith<Suffix extends string> = Readonly<
  Record<
    | `input_cost_per_token_${Suffix}`
    | `output_cost_per_token_${Suffix}`
    | `cache_read_input_token_cost_${Suffix}`
    | `cache_creation_input_token_cost_${Suffix}`
    | `cache_creation_input_token_cost_above_1hr_${Suffix}`
    | `output_cost_per_reasoning_token_${Suffix}`
    | `input_cost_per_audio_token_${Suffix}`
    | `output_cost_per_audio_token_${Suffix}`,
    PriceField
  >
>;

type AboveSuffix<
  Limit extends string,
  Tier extends string,
> = `above_${Limit}_tokens${Tier extends '' ? '' : `_${Tier}`}`;

function aboveFields<Limit extends string, Tier extends string = ''>(
  limit: Limit,
  tier?: Tier,
): FieldsWith<AboveSuffix<Limit, Tier>> {
  const when = `where the prompt has more than ${limit} tokens`;
  const [suffix, served] = tier === undefined ? ['', ''] : [`_${tier}`, `, with \`service_tier: ${tier}\``];
  return fieldsWith(`above_${limit}_tokens${suffix}` as AboveSuffix<Limit, Tier>, `${when}${served}`);
}

function tierFields<Tier extends string>(tier: Tier, when: string): FieldsWith<Tier> {
  return fieldsWith(tier, when);
}

function fieldsWith<Suffix extends string>(suffix: Suffix, when: string): FieldsWith<Suffix> {
  return {
    [`input_cost_per_token_${suffix}`]: perToken(`Price of an ${INPUT} ${when}.`),
    [`output_cost_per_token_${suffix}`]: perToken(`Price of an ${OUTPUT} ${when}.`),
    [`cache_read_input_token_cost_${suffix}`]: perToken(`Price of an ${READ} ${when}.`),
    [`cache_creation_input_token_cost_${suffix}`]: perToken(`Price of an ${WRITE} ${when}.`),
    [`cache_creation_input_token_cost_above_1hr_${suffix}`]: perToken(
      `Price of an ${WRITE}, kept for an hour, ${when}.`,
    ),
    [`output_cost_per_reasoning_token_${suffix}`]: perToken(`Price of a reasoning token ${when}.`),
    [`input_cost_per_audio_token_${suffix}`]: perToken(`Price of an input token of sound ${when}.`),
    [`output_cost_per_audio_token_${suffix}`]: perToken(`Price of an output token of sound ${when}.`),
  } as FieldsWith<Suffix>;
}
