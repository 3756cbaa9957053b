import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { CostMap } from '../pricing/cost-map.ts';
import { PriceBook } from '../pricing/find-price.ts';
import type { ConfigSource } from './config-source.ts';
import type { Findings } from './findings.ts';
import type { ResolvedSettings } from './resolve-settings.ts';

/** Is it fetched rather than read? */
export function isAddress(costMap: string): boolean {
  return /^https?:\/\//i.test(costMap);
}

/** The prices that deployments are given. A map that can't be had is an error where it is a file, which is there or not. */
export function openPrices(settings: ResolvedSettings, source: ConfigSource, findings: Findings): PriceBook {
  const named = settings.values.model_cost_map;
  if (named === null) return new PriceBook(null);
  const { origin } = settings.list.find(({ path }) => path === 'model_cost_map')!;
  const report = { position: origin.position, path: origin.name === '' ? 'model_cost_map' : origin.name };
  if (isAddress(named)) {
    if (source.downloads === undefined) {
      findings.warn(report.position, report.path, 'is not fetched here: deployments are shown with the own prices');
    }
    return new PriceBook(readDownload(source.downloads?.get(named)));
  }
  try {
    return new PriceBook(new CostMap(JSON.parse(readFileSync(resolve(named), 'utf8'))));
  } catch (error) {
    findings.error(
      report.position,
      report.path,
      `cannot be used: ${error instanceof Error ? error.message : 'unknown'}`,
    );
    return new PriceBook(null);
  }
}

/** It was looked at when it was fetched. */
function readDownload(map: unknown): CostMap | null {
  return map === undefined ? null : new CostMap(map);
}
