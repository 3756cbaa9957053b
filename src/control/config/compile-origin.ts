import { BlockList, isIP } from 'node:net';
import type { Environment } from './config-source.ts';

/** An `api_base` taken apart. */
export interface BaseUrl {
  readonly scheme: 'http' | 'https';
  /** Without brackets; `localhost` stays a name, so that all its addresses are tried. */
  readonly host: string;
  readonly port: number;
  /** Without a slash at the end. */
  readonly path: string;
  /** Without `?`. */
  readonly query: string;
  readonly hasUserInfo: boolean;
}

/** @returns null when it is no http or https URL, or has a fragment. */
export function parseBaseUrl(text: string): BaseUrl | null {
  if (!/^[\x21-\x7e\x80-\uffff]+$/.test(text) || !URL.canParse(text)) return null;
  const url = new URL(text);
  const scheme = url.protocol === 'https:' ? 'https' : url.protocol === 'http:' ? 'http' : null;
  if (scheme === null || url.hash !== '' || url.hostname === '') return null;
  return {
    scheme,
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? defaultPort(scheme) : Number(url.port),
    path: url.pathname.replace(/\/+$/, ''),
    query: url.search.replace(/^\?/, ''),
    hasUserInfo: url.username !== '' || url.password !== '',
  };
}

function defaultPort(scheme: 'http' | 'https'): number {
  return scheme === 'https' ? 443 : 80;
}

export interface ProxyChoice {
  readonly url: string | null;
  /** The variable, where its value is no usable proxy; the message never quotes it, for it can hold a password. */
  readonly faultyVariable: string | null;
}

/** The egress proxy for an address, from HTTPS_PROXY or HTTP_PROXY and NO_PROXY, as curl reads them. */
export function chooseProxy(base: Pick<BaseUrl, 'scheme' | 'host' | 'port'>, environment: Environment): ProxyChoice {
  const name = `${base.scheme}_proxy`;
  const variable = [name, name.toUpperCase()].find((candidate) => (environment[candidate] ?? '') !== '');
  if (variable === undefined) return { url: null, faultyVariable: null };
  if (isExempt(base, environment['no_proxy'] ?? environment['NO_PROXY'] ?? ''))
    return { url: null, faultyVariable: null };
  const url = normalizeProxy(environment[variable] ?? '');
  return url === null ? { url: null, faultyVariable: variable } : { url, faultyVariable: null };
}

/** A proxy is spoken to in plain HTTP; `host:port` alone will do. */
function normalizeProxy(text: string): string | null {
  const written = text.includes('://') ? text.trim() : `http://${text.trim()}`;
  if (!URL.canParse(written)) return null;
  const url = new URL(written);
  if (url.protocol !== 'http:' || url.hostname === '' || /[\r\n]/.test(text)) return null;
  const userInfo = url.username === '' ? '' : `${url.username}:${url.password}@`;
  return `http://${userInfo}${url.hostname}:${url.port === '' ? 80 : url.port}`;
}

function isExempt(base: Pick<BaseUrl, 'host' | 'port'>, list: string): boolean {
  return list
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => matchesExemption(entry.toLowerCase(), base));
}

/** `*`, `example.com` (and what lies below it), `.example.com`, `*.example.com`, `host:port`, an address, a CIDR block. */
function matchesExemption(entry: string, { host, port }: Pick<BaseUrl, 'host' | 'port'>): boolean {
  if (entry === '*') return true;
  const family = isIP(host);
  if (family !== 0 && entry.includes('/')) return isInBlock(entry, host, family);
  const withPort = /^(\[[^\]]*\]|[^:]*):(\d+)$/.exec(entry);
  if (withPort !== null && Number(withPort[2]) !== port) return false;
  const name = (withPort?.[1] ?? entry).replace(/^\[(.*)\]$/, '$1').replace(/^\*?\./, '');
  return name !== '' && (host === name || (family === 0 && host.endsWith(`.${name}`)));
}

function isInBlock(entry: string, host: string, family: number): boolean {
  const [address = '', bits = ''] = entry.split('/');
  const prefix = Number(bits);
  if (isIP(address) !== family || !Number.isInteger(prefix) || prefix > (family === 4 ? 32 : 128)) return false;
  const block = new BlockList();
  const type = family === 4 ? 'ipv4' : 'ipv6';
  block.addSubnet(address, prefix, type);
  return block.check(host, type);
}
