import { chooseByKey, chooseByKeyWithSpill } from '../../domain/routing/strategies/affinity.ts';
import { Candidates } from '../../domain/routing/strategies/candidates.ts';
import { chooseLeastBusy } from '../../domain/routing/strategies/least-busy.ts';
import { chooseLowestCost } from '../../domain/routing/strategies/lowest-cost.ts';
import { chooseLowestLatency } from '../../domain/routing/strategies/lowest-latency.ts';
import { chooseLowestUsage, keepWithinLimits } from '../../domain/routing/strategies/lowest-usage.ts';
import { drawSecond, isBusier } from '../../domain/routing/strategies/power-of-two.ts';
import { chooseByWeight } from '../../domain/routing/strategies/simple-shuffle.ts';
import { estimatePromptTokens } from '../../domain/usage/estimate-usage.ts';
import { HeaderId } from '../../http1/header-id.ts';
import type { CompiledDeployment, CompiledGroup } from '../compiled-snapshot.ts';
import type { Exchange } from '../exchange/exchange.ts';
import { prefixKey, stickyKey } from './affinity-key.ts';
import type { CompiledAffinity } from './compile-selection.ts';
import type { DeploymentLoad } from './deployment-load.ts';

/** Keeps a deployment out of a choice: already tried, resting, full. */
export type Exclusion = (exchange: Exchange, deployment: CompiledDeployment) => boolean;

/** A latency loses half of its weight in this time without a sample, so that what was slow once is tried again. */
const LATENCY_HALF_LIFE_MS = 10_000;

// One choice is over before the next begins, so one set of scratch space per thread will do.
const candidates = new Candidates();
let first = new Float64Array(16);
let second = new Float64Array(16);

/**
 * Select: one of the group's deployments that are not excluded and fit the request's tags, within the lowest order that
 * has any: by affinity where that is on and the request has something to go by, else by the group's strategy. Asks about
 * each deployment once at most, and keeps nothing.
 *
 * @returns null if there is none.
 */
export function selectDeployment(
  exchange: Exchange,
  group: CompiledGroup,
  isExcluded: Exclusion,
): CompiledDeployment | null {
  const { deployments, selection } = group;
  const allowed = selection.tags === null ? null : allowedByTags(exchange, group);
  if (selection.tags !== null && allowed === null) return null;
  const places = candidates.reserve(deployments.length);
  let count = 0;
  let order = 0;
  for (let place = 0; place < deployments.length; place += 1) {
    const deployment = deployments[place]!;
    if (count > 0 && deployment.order !== order) break;
    if (allowed !== null && allowed[place] === 0) continue;
    if (isExcluded(exchange, deployment)) continue;
    order = deployment.order;
    places[count] = place;
    count += 1;
  }
  if (count === 0) return null;
  if (count === 1) return deployments[places[0]!]!;
  candidates.count = count;
  const tied = selection.affinity === null ? -1 : chooseByAffinity(exchange, group, selection.affinity);
  return deployments[tied === -1 ? chooseByStrategy(exchange, group) : tied]!;
}

/** The tags of the request keep it from every deployment of the group, whatever state these are in. */
export function isBarredByTags(exchange: Exchange, group: CompiledGroup): boolean {
  return group.selection.tags !== null && allowedByTags(exchange, group) === null;
}

function allowedByTags(exchange: Exchange, { selection }: CompiledGroup): Uint8Array | null {
  const tags = selection.tags!;
  const userAgent = tags.readsUserAgent ? exchange.head.headers.text(HeaderId.UserAgent) : null;
  return tags.allowed(exchange.tags, userAgent);
}

function chooseByAffinity(exchange: Exchange, group: CompiledGroup, affinity: CompiledAffinity): number {
  const sticky = stickyKey(exchange, affinity);
  if (sticky !== -1) return chooseByKey(candidates, affinity, sticky);
  const prefix = affinity.prefixBytes === 0 ? -1 : prefixKey(exchange, affinity.prefixBytes);
  if (prefix === -1) return -1;
  readInFlight(exchange.worker.load, group);
  return chooseByKeyWithSpill(candidates, affinity, prefix, { inFlight: first, spill: affinity.prefixSpill });
}

function chooseByStrategy(exchange: Exchange, group: CompiledGroup): number {
  const { selection } = group;
  const random = Math.random();
  switch (selection.strategy) {
    case 'simple-shuffle':
      return chooseByWeight(candidates, selection.weights, random);
    case 'least-busy':
      readInFlight(exchange.worker.load, group);
      return chooseLeastBusy(candidates, first, random);
    case 'latency-based-routing':
      if (selection.hasLimits) leaveOutFull(exchange, group);
      readLatencies(exchange, group);
      return chooseLowestLatency(candidates, first, selection.latencyBuffer, random);
    case 'usage-based-routing':
      leaveOutFull(exchange, group);
      return chooseLowestUsage(candidates, first, random);
    case 'cost-based-routing':
      if (selection.hasLimits) leaveOutFull(exchange, group);
      return chooseLowestCost(candidates, selection.costs, random);
    case 'power-of-two':
      return chooseOfTwo(exchange, group, random);
    default:
      return selection.strategy satisfies never;
  }
}

function readInFlight(load: DeploymentLoad, group: CompiledGroup): void {
  reserve(group);
  for (let index = 0; index < candidates.count; index += 1) {
    const place = candidates.places[index]!;
    first[place] = load.inFlight(group.deployments[place]!.loadRow);
  }
}

/** One request at a time finds out how fast a deployment is that nobody knows of. */
function readLatencies({ worker, stream }: Exchange, group: CompiledGroup): void {
  reserve(group);
  for (let index = 0; index < candidates.count; index += 1) {
    const place = candidates.places[index]!;
    const deployment = group.deployments[place]!;
    const latency = worker.load.latency(deployment, stream);
    first[place] = latency > 0 || worker.load.inFlight(deployment.loadRow) === 0 ? latency : Infinity;
  }
}

/** Those that have reached their `rpm` or `tpm` in this minute. Reads the tokens of all others into `first`. */
function leaveOutFull({ worker, body }: Exchange, group: CompiledGroup): void {
  reserve(group);
  for (let index = 0; index < candidates.count; index += 1) {
    const place = candidates.places[index]!;
    const { loadRow } = group.deployments[place]!;
    first[place] = worker.load.tokensThisMinute(loadRow);
    second[place] = worker.load.requestsThisMinute(loadRow);
  }
  const { tokenLimits, requestLimits } = group.selection;
  const usage = { tokens: first, requests: second, tokenLimits, requestLimits };
  keepWithinLimits(candidates, usage, estimatePromptTokens(body.length));
}

function chooseOfTwo({ worker, stream }: Exchange, group: CompiledGroup, random: number): number {
  const { weights } = group.selection;
  const one = chooseByWeight(candidates, weights, random);
  const other = drawSecond(candidates, weights, one, Math.random());
  if (other === one) return one;
  const a = loadOf(worker.load, group.deployments[one]!, stream, ONE);
  const b = loadOf(worker.load, group.deployments[other]!, stream, OTHER);
  return isBusier(a, b) ? other : one;
}

const ONE = { inFlight: 0, latency: 0 };
const OTHER = { inFlight: 0, latency: 0 };

function loadOf(load: DeploymentLoad, deployment: CompiledDeployment, isStream: boolean, into: typeof ONE): typeof ONE {
  into.inFlight = load.inFlight(deployment.loadRow);
  const ageMs = load.latencyAgeMs(deployment, isStream);
  into.latency = load.latency(deployment, isStream) * (LATENCY_HALF_LIFE_MS / (LATENCY_HALF_LIFE_MS + ageMs));
  return into;
}

function reserve({ deployments }: CompiledGroup): void {
  if (first.length >= deployments.length) return;
  first = new Float64Array(2 * deployments.length);
  second = new Float64Array(2 * deployments.length);
}
