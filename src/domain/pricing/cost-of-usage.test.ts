import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { NO_DETAILS, type TokenUsage, type UsageDetails } from '../usage/token-usage.ts';
import { compilePrice } from './compile-price.ts';
import { costOfUsage, NO_AMOUNTS } from './cost-of-usage.ts';
import { dollarText } from './dollar-text.ts';
import type { Price, PriceLadder, Prices } from './price.ts';

const NOTHING: TokenUsage = {
  inputTokens: 0,
  outputTokens: 0,
  cacheReadTokens: 0,
  cacheWriteTokens: 0,
  reasoningTokens: 0,
};

function priced(prices: Prices, rest: Partial<Price> = {}): Price {
  return { prices, steps: [], tiers: {}, ...rest };
}

function usageOf(usage: Partial<TokenUsage>, details?: Partial<UsageDetails>): TokenUsage {
  const counts = { ...NOTHING, ...usage };
  return details === undefined ? counts : { ...counts, details: { ...NO_DETAILS, ...details } };
}

function cost(price: Price, usage: TokenUsage, durationMs = 0): number {
  return costOfUsage(compilePrice(price), usage, { ...NO_AMOUNTS, durationMs });
}

describe('cost of a usage', () => {
  it('charges each part once, at its own price', () => {
    const price = priced({
      input: 3_000_000,
      output: 15_000_000,
      cacheRead: 300_000,
      cacheWrite: 3_750_000,
      cacheWrite1h: 6_000_000,
      reasoning: 20_000_000,
      audioInput: 40_000_000,
      imageInput: 8_000_000,
      audioOutput: 80_000_000,
      imageOutput: 30_000_000,
      citation: 2_000_000,
      search: 10_000_000_000,
      request: 5_000_000_000,
    });
    const usage = usageOf(
      { inputTokens: 1000, outputTokens: 100, cacheReadTokens: 200, cacheWriteTokens: 300, reasoningTokens: 40 },
      {
        cacheWrite1hTokens: 100,
        audioInputTokens: 10,
        imageInputTokens: 20,
        audioOutputTokens: 5,
        imageOutputTokens: 6,
        citationTokens: 7,
        searches: 2,
      },
    );
    const micro =
      470 * 3 + 200 * 0.3 + 200 * 3.75 + 100 * 6 + 10 * 40 + 20 * 8 + 49 * 15 + 40 * 20 + 5 * 80 + 6 * 30 + 7 * 2;
    assert.equal(cost(price, usage), micro * 1000 + 2 * 10_000_000 + 5_000_000);
  });

  it('charges a part without a price of its own as what it is a part of', () => {
    const price = priced({ input: 1000, output: 5000 });
    const usage = usageOf({
      inputTokens: 100,
      outputTokens: 10,
      cacheReadTokens: 40,
      cacheWriteTokens: 30,
      reasoningTokens: 10,
    });
    assert.equal(cost(price, usage), 150);
    assert.equal(cost(priced({ input: 1000, cacheWrite: 2000 }), usageOf(usage, { cacheWrite1hTokens: 30 })), 130);
    assert.equal(cost(priced({ input: 1000, cacheRead: 0, output: 0 }), usage), 60, 'a price of 0 is one');
  });

  it('rounds once, half up', () => {
    const counts = usageOf({ inputTokens: 1, outputTokens: 1 });
    assert.equal(cost(priced({ input: 499, output: 0 }), counts), 0);
    assert.equal(cost(priced({ input: 250, output: 249 }), counts), 0);
    assert.equal(cost(priced({ input: 250, output: 250 }), counts), 1);
    assert.equal(cost(priced({ input: 1499, output: 0 }), counts), 1);
  });

  it('takes parts that exceed their whole as they are, and nothing less than nothing of the rest', () => {
    const price = priced({ input: 1_000_000, output: 1_000_000 });
    assert.equal(
      cost(price, usageOf({ inputTokens: 5, cacheReadTokens: 8, outputTokens: 1, reasoningTokens: 2 })),
      10_000,
    );
  });

  it('counts the time of the call to the millisecond', () => {
    const price = priced({ second: 420_000_000, input: 1000 });
    assert.equal(cost(price, NOTHING, 1234), 518_280);
    assert.equal(cost(price, usageOf({ inputTokens: 3 }), 1), 423);
    assert.equal(cost(priced({ second: 1 }), NOTHING, 500_000), 1, 'half a nano-dollar');
  });

  it('counts characters and images', () => {
    const price = compilePrice(priced({ character: 15_000_000, image: 40_000_000_000, input: 5000 }));
    const usage = usageOf({ inputTokens: 3 });
    assert.equal(costOfUsage(price, usage, { ...NO_AMOUNTS, characters: 43 }), 645_015);
    assert.equal(costOfUsage(price, usage, { ...NO_AMOUNTS, images: 2 }), 80_000_015);
    assert.equal(costOfUsage(price, usage, NO_AMOUNTS), 15);
  });

  it('is exact where numbers are not, and ends at the largest that is', () => {
    const big = usageOf({ inputTokens: 9_007_199_254_740_991 });
    assert.equal(cost(priced({ input: 1_000_000_000_000 }), big), Number.MAX_SAFE_INTEGER);
    assert.equal(cost(priced({ input: 1999 }), usageOf({ inputTokens: 4_503_599_627_370_497 })), 9_002_695_655_113_624);
  });
});

describe('steps and tiers', () => {
  const above = (input: number, output: number): PriceLadder['steps'] => [
    { above: 200_000, prices: { input, output } },
  ];
  const price = priced(
    { input: 1000, output: 2000, cacheRead: 100 },
    {
      steps: [...above(3000, 4000), { above: 500_000, prices: { input: 5000, output: 6000, cacheRead: 500 } }],
      tiers: { flex: { prices: { input: 400, output: 800 }, steps: [] }, batch: { prices: {}, steps: above(7, 7) } },
    },
  );

  it('takes a longer prompt, cached tokens included, at other prices as a whole', () => {
    assert.equal(cost(price, usageOf({ inputTokens: 200_000, outputTokens: 1 })), 200_002);
    assert.equal(cost(price, usageOf({ inputTokens: 200_001, outputTokens: 1 })), 600_007);
    assert.equal(cost(price, usageOf({ inputTokens: 200_001, cacheReadTokens: 200_001 })), 20_000, 'rounded half up');
    assert.equal(cost(price, usageOf({ inputTokens: 600_000, cacheReadTokens: 600_000 })), 300_000);
  });

  it('takes the tier that served, whose missing prices are the standard ones', () => {
    const usage = { inputTokens: 1000, outputTokens: 1000, cacheReadTokens: 500 };
    assert.equal(cost(price, usageOf(usage, { serviceTier: 'flex' })), 1050);
    assert.equal(cost(price, usageOf(usage, { serviceTier: 'priority' })), 2550, 'no price of its own');
    assert.equal(cost(price, usageOf({ inputTokens: 300_000 }, { serviceTier: 'flex' })), 120_000, 'without steps');
    assert.equal(cost(price, usageOf({ inputTokens: 300_000 }, { serviceTier: 'batch' })), 2100);
  });
});

const tokens = fc.oneof(fc.nat(3000), fc.nat(2_000_000), fc.nat({ max: 10 ** 12 }));
const pico = fc.oneof(fc.nat(1_000_000), fc.nat({ max: 10 ** 12 }));

it('is the exact sum, whatever the sizes', () => {
  fc.assert(
    fc.property(
      fc.array(tokens, { minLength: 5, maxLength: 5 }),
      fc.array(pico, { minLength: 5, maxLength: 5 }),
      (n, p) => {
        const [plain, read, write, text, thought] = n as [number, number, number, number, number];
        const [input, cacheRead, cacheWrite, output, reasoning] = p as [number, number, number, number, number];
        const usage = usageOf({
          inputTokens: plain + read + write,
          cacheReadTokens: read,
          cacheWriteTokens: write,
          outputTokens: text + thought,
          reasoningTokens: thought,
        });
        const sum = n.reduce((total, count, index) => total + BigInt(count) * BigInt(p[index]!), 0n);
        const nano = (sum + 500n) / 1000n;
        const expected = nano > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(nano);
        assert.equal(cost(priced({ input, cacheRead, cacheWrite, output, reasoning }), usage), expected);
      },
    ),
  );
});

it("differs from LiteLLM's sum of binary fractions by less than a nano-dollar", () => {
  // As LiteLLM sums: dollars per token times tokens, prompt and completion each for itself, then both.
  const real = fc.nat(300_000_000); // up to 300 dollars per million tokens
  const count = fc.nat(2_000_000);
  fc.assert(
    fc.property(fc.tuple(count, count, count, count, count), fc.tuple(real, real, real, real, real), (n, p) => {
      const [plain, read, write, text, thought] = n;
      const usd = p.map((each) => Number(`${each}e-12`));
      const prompt = plain * usd[0]! + read * usd[1]! + write * usd[2]!;
      const completion = text * usd[3]! + thought * usd[4]!;
      const usage = usageOf({
        inputTokens: plain + read + write,
        cacheReadTokens: read,
        cacheWriteTokens: write,
        outputTokens: text + thought,
        reasoningTokens: thought,
      });
      const [input, cacheRead, cacheWrite, output, reasoning] = p;
      const ours = cost(priced({ input, cacheRead, cacheWrite, output, reasoning }), usage);
      assert.ok(Math.abs(ours - (prompt + completion) * 1e9) < 1, `${ours} and ${prompt + completion}`);
    }),
  );
});

it('tells dollars with nine decimals', () => {
  assert.deepEqual(
    [0, 1, 28_500, 999_999_999, 1_000_000_000, 12_000_000_345, Number.MAX_SAFE_INTEGER].map(dollarText),
    ['0.000000000', '0.000000001', '0.000028500', '0.999999999', '1.000000000', '12.000000345', '9007199.254740991'],
  );
});
